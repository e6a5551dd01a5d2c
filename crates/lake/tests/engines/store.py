"""A store that speaks S3, in memory, on a free port of the loopback, with one empty bucket named `lake`.

    store.py [--forgetful]

Says its port in a line, and ends when its standard input does. A line `away` there closes the port until a line `back`;
each is answered by a line. `broken` lets no table's log be read until then, and `lossy` carries out every third put and says that it
failed. A forgetful one does not heed conditional puts.
"""

import itertools
import logging
import sys
import threading

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def serve(application, port):
    server = make_server("127.0.0.1", port, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def forgetful(application):
    def unconditional(environment, respond):
        environment.pop("HTTP_IF_NONE_MATCH", None)
        return application(environment, respond)

    return unconditional


def ill(application):
    puts = itertools.count(1)

    def answer(environment, respond):
        is_of_log = "/_delta_log/" in environment["PATH_INFO"]
        if state == "broken" and is_of_log and environment["REQUEST_METHOD"] == "GET":
            respond("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if state == "lossy" and environment["REQUEST_METHOD"] == "PUT" and next(puts) % 3 == 0:
            b"".join(application(environment, lambda *_: None))
            respond("500 Internal Server Error", [("Content-Length", "0")])
            return []
        return application(environment, respond)

    return answer


def say(line):
    print(line, flush=True)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = DomainDispatcherApplication(create_backend_app)
if "--forgetful" in sys.argv:
    application = forgetful(application)
state, application = "", ill(application)
server = serve(application, 0)
port = server.port
boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{port}",
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
).create_bucket(Bucket="lake")
say(port)
for line in sys.stdin:
    was_away, state = state == "away", line.strip()
    if state == "away":
        server.shutdown()
        server.server_close()
    elif was_away:
        server = serve(application, port)
    say("done")
