"""Prefect: a flow that does nothing, served by one process, started as a deployment's run."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

PORT = 4299
API = f"http://127.0.0.1:{PORT}/api"
BIN = os.path.dirname(sys.executable)

FLOW = """
import sys, time
from prefect import flow

@flow
def nothing(at: str):
    with open(at, "w") as file:
        file.write(str(time.time()))

if __name__ == "__main__":
    nothing.serve(name="bench", limit=16)
"""


def wait(what, so, limit=180):
    until = time.time() + limit
    while time.time() < until:
        try:
            if so():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{what} took over {limit} s")


def main(runs):
    os.environ["PREFECT_API_URL"] = API
    folder = tempfile.mkdtemp()
    flow = os.path.join(folder, "nothing_flow.py")
    with open(flow, "w") as file:
        file.write(FLOW)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([f"{BIN}/prefect", "server", "start", "--host", "127.0.0.1", "--port", str(PORT)], **quiet)
    served = None
    try:
        wait("the server", lambda: urllib.request.urlopen(f"{API}/health").status == 200)
        served = subprocess.Popen([sys.executable, flow], cwd=folder, **quiet)
        from prefect.client.orchestration import get_client
        from prefect.deployments import run_deployment

        def known():
            with get_client(sync_client=True) as client:
                return any(one.name == "bench" for one in client.read_deployments())

        wait("the deployment", known)

        def ask(number):
            at = os.path.join(folder, f"run-{number}")
            asked = time.time()
            run_deployment("nothing/bench", parameters={"at": at}, timeout=0)
            return at, asked

        def started(at):
            return os.path.exists(at) and os.path.getsize(at) > 0

        waits = []
        for number in range(runs):
            at, asked = ask(number)
            wait("a run", lambda: started(at))
            waits.append((float(open(at).read()) - asked) * 1000)
        began = time.time()
        many = [ask(runs + number)[0] for number in range(runs)]
        wait("the runs", lambda: all(started(at) for at in many))
        print(json.dumps({"waits": waits, "took": (time.time() - began) * 1000}))
    finally:
        for process in (served, server):
            if process is not None:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
