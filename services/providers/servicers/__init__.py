"""gRPC servicers of the providers service."""
