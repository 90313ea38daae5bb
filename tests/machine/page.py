"""Runs in the machine: presses a button of the Settings page, as a browser would.

The arguments are the product, the button (``install``, ``restart``), the label that the person sees, and
the passcode. It prints the product's page.
"""

import http.client
import re
import subprocess
import sys
import urllib.parse

product, button, label, passcode = sys.argv[1:]
output = subprocess.run(["repoint", "settings"], capture_output=True, text=True, check=True).stdout
(link,) = re.findall(r"http://\S+", output)
there = urllib.parse.urlsplit(link)
host = f"127.0.0.1:{there.port}"


def ask(
    method: str, path: str, form: dict[str, str] | None = None, cookie: str = ""
) -> tuple[http.client.HTTPResponse, str]:
    """Send a request with the headers that a browser sends."""
    connection = http.client.HTTPConnection("127.0.0.1", there.port, timeout=300)
    headers = {"Cookie": cookie} if cookie else {}
    body: str | None = None
    if form is not None:
        body = urllib.parse.urlencode(form)
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{host}"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()


answer = ask("GET", there.path)[0]
given = answer.getheader("Set-Cookie")
assert given is not None
cookie = given.partition(";")[0]
panel = f"{answer.getheader('Location')}product/{product}/"
_, sheet = ask("GET", panel + button, cookie=cookie)
token = sheet.partition('name="token" value="')[2].partition('"')[0]
form = {"token": token, "label": label, "passcode": passcode}
answer, text = ask("POST", panel + button, form, cookie)
if answer.status != 303:
    sys.exit(f"{answer.status}: {re.sub('<[^>]*>', ' ', text)}")
_, text = ask("GET", panel, cookie=cookie)
print(re.sub(r"\s+", " ", re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)))
