"""A small server that speaks as much of S3 as fastmnist needs, and plain HTTP, on the loopback interface.

moto says more of S3, but brings thirty packages. Here the faults are part of it: which requests are answered
with 503 is counted, so that every run meets the same.
"""

import contextlib
import html
import itertools
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMIsecret"
WEB = "web"  # what lies below is given to everybody
PAGE = 100  # names in an answer: S3 has 1,000
BUCKET = "bucket"


class Store(ThreadingHTTPServer):
    """The server. Its objects are `bucket/key` -> bytes; every n-th request is refused where `refuse_every` is n.

    requests: the method and path of each. sends_ranges: whether parts of files are sent. always: path -> the status
    that every request for it gets. private: paths that are given to those who say their name and password.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.requests, self.always, self.private = {}, [], {}, set()
        self.refuse_every = self.always_put = None
        self.sends_ranges = True
        self.lock, self.numbers = threading.Lock(), itertools.count(1)
        self.held, self.may_go_on, self.n_before_holding = threading.Event(), threading.Event(), None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def environment(self, key=KEY, secret=SECRET):
        """What S3's libraries look for, so that they find this server; without a key no credentials are found."""
        nowhere = {"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
        given = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PROFILE": None,
            **nowhere,
            **given,
        }

    def hold_after(self, n_requests):
        """Answer so many requests, and then none until `release`; `held` is set by the first that waits."""
        self.n_before_holding = n_requests

    def release(self):
        self.n_before_holding = None
        self.may_go_on.set()

    def handle_error(self, request, client_address):
        """A client that goes away is nothing to tell."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is sent as one: in two parts, the second waits for the first to be acknowledged

    def log_message(self, *arguments):
        pass

    def handle_expect_100(self):
        """Let a client that asks first send what it has."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def do_GET(self):
        url = urlsplit(self.path)
        name, query = unquote(url.path).lstrip("/"), parse_qs(url.query, keep_blank_values=True)
        if self.refused(name):
            return
        if "list-type" in query:
            self.list_bucket(name.strip("/"), {key: values[0] for key, values in query.items()})
        elif name.startswith(WEB + "/") and name.endswith("/"):
            self.list_web_folder(name)
        elif name in self.server.objects:
            self.send_object(self.server.objects[name])
        else:
            self.fail(
                404,
                "NoSuchKey"
                if any(key.startswith(name.split("/")[0]) for key in self.server.objects)
                else "NoSuchBucket",
            )

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = unquote(urlsplit(self.path).path).lstrip("/")
        if self.server.always_put:
            self.fail(self.server.always_put, "AccessDenied")
        elif not self.refused(name):
            self.server.objects[name] = body
            self.answer(200, b"", ETag='"0"')

    def refused(self, name):
        """Answer with a fault, if this request is to get one; return whether it did."""
        with self.server.lock:
            self.server.requests.append((self.command, name))
            number = next(self.server.numbers)
        if self.server.n_before_holding is not None and number > self.server.n_before_holding:
            self.server.held.set()
            self.server.may_go_on.wait()
        who = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        if self.server.refuse_every and number % self.server.refuse_every == 0:
            self.fail(503, "SlowDown")
        elif name in self.server.private and not self.headers.get("Authorization", "").startswith("Basic "):
            self.fail(401, "")
        elif name in self.server.always:
            self.fail(self.server.always[name], "AccessDenied" if self.server.always[name] == 403 else "InternalError")
        elif not name.startswith(WEB + "/") and (who is None or who[1] != KEY):
            self.fail(403, "InvalidAccessKeyId")
        else:
            return False
        return True

    def send_object(self, content):
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part is None or not self.server.sends_ranges:
            self.answer(200, content)
            return
        first, last = int(part[1]), int(part[2])
        if first >= len(content):
            self.fail(416, "InvalidRange")
            return
        last = min(last, len(content) - 1)
        self.answer(206, content[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}")

    def list_bucket(self, bucket, query):
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html, a page of it."""
        prefix, after = f"{bucket}/{query['prefix']}", query.get("continuation-token", "")
        found = {}
        for key in sorted(key for key in self.server.objects if key.startswith(prefix)):
            head, slash, _ = key[len(prefix) :].partition(query.get("delimiter") or "\n")
            found[(prefix + head + slash)[len(bucket) + 1 :]] = None if slash else len(self.server.objects[key])
        names = [name for name in found if name > after]
        page = names[:PAGE]
        items = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if found[name] is None
            else f"<Contents><Key>{escape(name)}</Key><Size>{found[name]}</Size></Contents>"
            for name in page
        )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(names) > PAGE else ""
        cut = str(bool(more)).lower()
        self.answer(200, f"<ListBucketResult><IsTruncated>{cut}</IsTruncated>{more}{items}</ListBucketResult>".encode())

    def list_web_folder(self, folder):
        """A page of links, as web servers write them: to what the folder holds, to its parent, and elsewhere."""
        below = {re.match("[^/]+/?", key[len(folder) :])[0] for key in self.server.objects if key.startswith(folder)}
        links = ["../", "?C=N;O=D", "https://elsewhere.example/a.png", *map(quote, sorted(below))]
        page = "".join(f'<a href="{html.escape(link)}">x</a>\n' for link in links)
        self.answer(200, page.encode(), Content_Type="text/html")

    def fail(self, status, code):
        """S3's way to say what is wrong, with words of the server that nobody is to repeat."""
        text = f"<Error><Code>{code}</Code><Message>what {KEY} and {SECRET} did</Message></Error>"
        self.answer(status, text.encode())

    def answer(self, status, content, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextlib.contextmanager
def serving():
    """A store, while the context lasts."""
    with Store() as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield store
        finally:
            store.release()
            store.shutdown()
            thread.join()
