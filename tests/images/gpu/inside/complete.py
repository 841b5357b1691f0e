"""Serve a model as users do (etcd, NATS, dynamo.frontend, a worker) and print the answer to one prompt as JSON.

Arguments: the worker's module and its arguments. Ports are free ones, for this may run beside other services.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SECONDS = 600  # for the model to load and be listed
PROMPT = "The capital of France is"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def ask(url, body=None):
    request = urllib.request.Request(url, body and json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def serve(folder, worker):
    client, peer, bus, http = free_ports(4)
    services = [
        ["etcd", "--data-dir", f"{folder}/etcd", "--listen-client-urls", f"http://127.0.0.1:{client}",
         "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}"],
        ["nats-server", "-js", "-sd", f"{folder}/nats", "-a", "127.0.0.1", "-p", str(bus)],
        [sys.executable, "-m", "dynamo.frontend", "--http-port", str(http)],
        [sys.executable, "-m", *worker],
    ]  # fmt: skip
    variables = {**os.environ, "ETCD_ENDPOINTS": f"http://127.0.0.1:{client}", "NATS_SERVER": f"nats://127.0.0.1:{bus}"}
    started = []
    for number, command in enumerate(services):
        log = Path(folder, f"{number}.log").open("wb")  # noqa: SIM115  # the process owns it
        started.append(
            subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        )
        if number == 1:
            time.sleep(2)  # frontend and worker end if etcd or NATS does not answer yet
    return f"http://127.0.0.1:{http}", started


def wait_for_model(url, processes):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for process in processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[:3]} ended with {process.returncode}")
        with contextlib.suppress(OSError):
            if models := ask(f"{url}/v1/models")["data"]:
                return models[0]["id"]
        time.sleep(1)
    raise RuntimeError(f"no model was listed within {SECONDS} s")


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    url, processes = serve(folder, sys.argv[1:])
    try:
        model = wait_for_model(url, processes)
        body = {"model": model, "prompt": PROMPT, "max_tokens": 16, "temperature": 0}
        print(json.dumps(ask(f"{url}/v1/completions", body)))
    except (OSError, RuntimeError) as error:
        said = Path(folder, "3.log").read_text(errors="replace")
        sys.exit(f"{error}\nthe worker's last lines:\n{said[-3000:]}")
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
