"""What INPUT may be -> one stream of batches, in order, in constant memory."""
