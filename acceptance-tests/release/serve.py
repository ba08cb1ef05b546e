"""A network mirror: the files of a directory over HTTPS on the loopback. serve.py DIRECTORY CERTIFICATE_AND_KEY; prints its port."""

import functools
import http.server
import ssl
import sys

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
handler.func.extensions_map = {**handler.func.extensions_map, ".json": "application/json", ".zip": "application/zip"}
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
