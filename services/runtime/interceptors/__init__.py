"""What happens around every handler, in one visible order."""

import grpc.aio

from services.runtime.access import AccessTable
from services.runtime.interceptors.errors import ErrorsInterceptor
from services.runtime.interceptors.identity import Authenticator, IdentityInterceptor
from services.runtime.interceptors.validation import ValidationInterceptor


def server_interceptors(
    table: AccessTable, authenticator: Authenticator, *, public: bool
) -> list[grpc.aio.ServerInterceptor]:
    """The interceptors of a server, outermost first; the same for a grpc.aio server and an in-process one."""
    return [
        ErrorsInterceptor(),
        IdentityInterceptor(table, authenticator, public=public),
        ValidationInterceptor(table),
    ]
