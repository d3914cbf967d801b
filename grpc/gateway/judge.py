"""Asks the service over HTTP as strangers, as a dashboard and as many; see judge.sh."""

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote, urlsplit

from ampulla_client import AuthenticatedClient
from ampulla_client.api.gateway import gateway_list_incidents, gateway_list_packets, gateway_start_analysis
from ampulla_client.models import GatewayStartAnalysisJsonBody

URL, TOKEN, PID, DIR, PROMETHEUS = sys.argv[1:6]
HOST, PORT = urlsplit(URL).hostname, urlsplit(URL).port
AUTH = {"Authorization": f"Bearer {TOKEN}"}
OCTETS = AUTH | {"Content-Type": "application/octet-stream"}
failures = []
table = []  # lines of LOAD.md


def expect(what, got, want):
    print(f"  {what}: {got}" + ("" if got == want else f", want {want}"))
    if got != want:
        failures.append(what)


def row(*cells):
    table.append("| " + " | ".join(str(c) for c in cells) + " |")
    print("  " + table[-1])


def head(*cells):
    table.append("")
    row(*cells)
    row(*["---"] * len(cells))


def ask(method, path, body=None, headers=AUTH, connection=None):
    c = connection or http.client.HTTPConnection(HOST, PORT, timeout=600)
    c.request(method, path, body, headers)
    answer = c.getresponse()
    text = answer.read()
    if connection is None:
        c.close()
    return answer.status, text


def memory():
    """The most memory that the service has used so far, in MB."""
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


def generated_client():
    client = AuthenticatedClient(base_url=URL, token=TOKEN, timeout=120)
    job = gateway_start_analysis.sync(
        client=client, body=GatewayStartAnalysisJsonBody.from_dict({"path": "port_scan_syn.pcapng", "wait_seconds": 60}))
    incidents = gateway_list_incidents.sync(client=client, job=job.id, type_="port_scan")
    expect("generated client: incidents", incidents.total, 1)
    incident = incidents.incidents[0]
    expect("generated client: actor", incident.actors, ["192.168.40.66"])
    packets = gateway_list_packets.sync(id=job.id, client=client, incident=incident.number, page_size=3)
    expect("generated client: packets on a page", len(packets.packets), 3)


def strangers():
    expect("no token", ask("GET", "/v1/jobs", headers={})[0], 401)
    expect("wrong token", ask("GET", "/v1/jobs", headers={"Authorization": "Bearer " + TOKEN[::-1]})[0], 401)
    expect("DNS rebinding", ask("GET", "/v1/jobs", headers=AUTH | {"Host": "evil.example"})[0], 403)
    expect("page of another", ask("GET", "/v1/jobs", headers=AUTH | {"Origin": "http://evil.example"})[0], 403)
    for path in "../../etc/passwd", "/etc/passwd", "../captures/../../README.md":
        body = json.dumps({"path": path})
        expect(f"path {path}", ask("POST", "/v1/analyze", body, AUTH | {"Content-Type": "application/json"})[0], 403)
    c = http.client.HTTPConnection(HOST, PORT, timeout=60)
    c.putrequest("POST", "/v1/analyze")
    for name, value in (OCTETS | {"Content-Length": str(1 << 40), "Expect": "100-continue"}).items():
        c.putheader(name, value)
    c.endheaders()
    expect("upload of 1 TB", c.getresponse().status, 413)
    broken = socket.create_connection((HOST, PORT))
    broken.sendall(b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
    expect("header of 100 kB", broken.recv(100).split()[1:2], [b"431"])


def slow():
    """Bodies and headers that drip: the service gives up on them."""
    s = socket.create_connection((HOST, PORT))
    s.settimeout(90)
    s.sendall(f"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
              "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n".encode())
    begun, answer = time.monotonic(), b""
    s.settimeout(1)
    while not answer and time.monotonic() - begun < 60:
        try:
            s.sendall(b"x")
            answer = s.recv(1000)
        except socket.timeout:
            pass
        except OSError:
            break
    took = time.monotonic() - begun
    expect("dripping body: refused within a minute", (answer[9:12], took < 55), (b"400", True))
    h = socket.create_connection((HOST, PORT))
    h.settimeout(30)
    h.sendall(b"GET / HTTP/1.1\r\n")
    expect("headers that never end: closed", h.recv(100)[9:12] in (b"", b"408"), True)


def connections(n=1000):
    before = len(os.listdir(f"/proc/{PID}/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    opened = [socket.create_connection((HOST, PORT)) for _ in range(n)]
    request = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    for s in opened:
        s.sendall(request)
    answered = sum(s.recv(12).endswith(b"200") for s in opened)
    expect(f"{n} connections at once: answered", answered, n)
    for s in opened:
        s.close()
    for _ in range(100):
        if len(os.listdir(f"/proc/{PID}/fd")) <= before + 4:
            break
        time.sleep(0.1)
    expect("file descriptors that are left", max(0, len(os.listdir(f"/proc/{PID}/fd")) - before - 4), 0)


def load(clients, path, seconds=10):
    """Uploads a capture again and again; 429 is an answer, and tried again."""
    with open(path, "rb") as file:
        capture = file.read()
    done, busy, end = [], [], time.monotonic() + seconds

    def work():
        c = http.client.HTTPConnection(HOST, PORT, timeout=120)
        while time.monotonic() < end:
            begun = time.monotonic()
            status, text = ask("POST", "/v1/analyze?wait_seconds=60", capture, OCTETS, c)
            if status == 429:
                busy.append(1)
                c.close()
                time.sleep(0.05)
                continue
            job = json.loads(text)
            if status != 200 or job["state"] != "DONE":
                failures.append(f"load: {status} {text[:200]}")
                return
            done.append(time.monotonic() - begun)
            ask("DELETE", "/v1/jobs/" + job["id"], None, AUTH, c)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    done.sort()
    row(clients, f"{len(capture) // 1024} kB", f"{len(done) / seconds:.0f}", f"{done[len(done) // 2] * 1000:.0f} ms",
        f"{done[int(len(done) * 0.99)] * 1000:.0f} ms", len(busy), f"{memory()} MB")


def largest(megabytes):
    """Uploads one large capture: ours, again and again in one pcap file."""
    pcap = os.path.join(DIR, "one.pcap")
    subprocess.run(["editcap", "-F", "nsecpcap", "testdata/captures/demo.pcapng", pcap], check=True)
    with open(pcap, "rb") as file:
        header, records = file.read(24), file.read()
    times = (megabytes << 20) // len(records)

    def body():
        yield header
        for _ in range(times):
            yield records

    begun = time.monotonic()
    status, text = ask("POST", "/v1/analyze?wait_seconds=60", body(), OCTETS | {"Content-Length": str(24 + times * len(records))})
    sent, job = time.monotonic() - begun, json.loads(text)
    while status == 200 and job["state"] in ("QUEUED", "ANALYZING"):
        status, text = ask("GET", f"/v1/jobs/{job['id']}?wait_seconds=60")
        job = json.loads(text)
    state = job.get("state", job.get("message"))
    row(f"{megabytes} MB", f"{status} {state}", job.get("packets"), f"{time.monotonic() - begun:.0f} s", f"{memory()} MB")
    if "id" in job:
        ask("DELETE", "/v1/jobs/" + job["id"])
    return status


def dashboard():
    """Asks Prometheus what the dashboard of Grafana asks, of what it has scraped."""
    prometheus = http.client.HTTPConnection(PROMETHEUS, timeout=10)

    def query(expression):
        prometheus.request("GET", "/api/v1/query?query=" + quote(expression))
        answer = json.load(prometheus.getresponse())
        return answer["status"], answer.get("error") or answer["data"]["result"]

    for _ in range(100):  # a rate takes two scrapes
        if any(float(r["value"][1]) >= 3 for r in query('count_over_time(up{job="ampulla"}[1m])')[1]):
            break
        time.sleep(0.2)
    up = query('up{job="ampulla"}')[1]
    expect("Prometheus: scraped", [r["value"][1] for r in up], ["1"])
    with open("grpc/metrics/grafana.json") as file:
        panels = json.load(file)["panels"]
    wrong = []
    for expression in [t["expr"] for p in panels for t in p.get("targets", [])]:
        status, result = query(expression.replace("$__rate_interval", "30s"))
        # Nobody has called over gRPC, and division of nothing is not a number.
        if status != "success" or not result and "grpc_call" not in expression:
            wrong.append((expression, status, result))
    expect("Prometheus: queries of the dashboard without an answer", wrong, [])


def processor():
    with open("/proc/cpuinfo") as cpuinfo:
        name = next(line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name"))
    return f"{os.cpu_count()} processors ({name}), load average {os.getloadavg()[0]:.0f} before"


generated_client()
strangers()
slow()
connections()
machine = processor()
head("clients", "capture", "analyses/s", "median", "99 %", "refused (429)", "most memory")
for clients in 1, 4, 16, 64:
    load(clients, "testdata/captures/benign_dns.pcapng")
load(4, "testdata/captures/demo.pcapng")
dashboard()
head("upload", "answer", "packets", "took", "most memory")
expect("largest upload", largest(511), 200)
expect("memory within its limit of 4 GB", memory() < 4096, True)
if failures:
    sys.exit(f"judge.py: {len(failures)} failures: {failures}")
with open("grpc/gateway/LOAD.md", "w") as file:
    file.write("# Load over HTTP\n\nWritten by `make judge-http`. Clients upload a capture, wait for the verdicts, and delete the job, "
               "as fast as they can; they run on the same machine as the service:\n"
               f"{machine}, {os.getloadavg()[0]:.0f} after.\n" + "\n".join(table) + "\n")
