"""gRPC servicers of the public API."""
