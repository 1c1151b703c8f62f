"""gRPC servicers of the router."""
