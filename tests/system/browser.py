#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A report in a browser: browser.py BROWSER FILE [TEXT...].

Loads the page without a network, on a screen, in the dark and in print, and says what is wrong with it: messages of the
console, requests for anything else, plots without extent or with parts outside of them, texts that are missing, a blank
screen, no pages.
"""

import base64
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

# What is looked for in the page, and returned as JSON.
LOOK = """JSON.stringify((() => {
    const wrong = [], plots = document.querySelectorAll("figure svg"), slack = 0.75;
    for (const svg of plots) {
        const name = svg.getAttribute("aria-label"), frame = svg.getBoundingClientRect();
        if (!(frame.width > 100 && frame.height > 100)) wrong.push(`${name}: its extent is ${frame.width} x ${frame.height}`);
        if (svg.querySelectorAll(".mark, .line").length === 0) wrong.push(`${name}: nothing is drawn`);
        for (const part of svg.querySelectorAll("path, text")) {
            const box = part.getBoundingClientRect();
            if (!(box.left >= frame.left - slack && box.right <= frame.right + slack && box.top >= frame.top - slack &&
                  box.bottom <= frame.bottom + slack))
                wrong.push(`${name}: outside of it: ${part.outerHTML}`);
        }
        for (const part of svg.querySelectorAll(".mark"))
            if (!(part.getBBox().width > 2)) wrong.push(`${name}: a mark without extent: ${part.outerHTML}`);
    }
    if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) wrong.push("the page is wider than the window");
    if (document.querySelectorAll("script, img, link, iframe, object, embed, [src], [href], [onload], [onerror]").length)
        wrong.push("there is a script or a reference");
    return {wrong, plots: plots.length, figures: [...document.querySelectorAll("figure")].map(f => f.id),
            tables: [...document.querySelectorAll("table")].map(t => t.id), text: document.body.textContent,
            lang: document.documentElement.lang, title: document.title, charset: document.characterSet,
            html: document.documentElement.outerHTML};
})())"""


class Browser:
    """Speaks the DevTools protocol over two pipes: JSON, each message ending with a NUL."""

    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.came, from_write = os.pipe()
        # It reads from descriptor 3 and writes to 4.
        launch = 'r=$1 w=$2; shift 2; exec 3<&"$r" 4>&"$w" "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", launch, "bash", str(to_read), str(from_write), program, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.rest, self.last, self.session, self.events = b"", 0, None, []

    def read(self):
        while b"\0" not in self.rest:
            more = os.read(self.came, 1 << 20)
            if not more:
                raise SystemExit("the browser went away")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.read())

    def open(self, url):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.call(f"{domain}.enable")
        self.events = []
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def look(self):
        result = self.call("Runtime.evaluate", expression=LOOK)["result"]
        if "value" not in result:
            raise SystemExit(f"the page can't be looked at: {result}")
        return json.loads(result["value"])

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(30)


def colours(png):
    """How many pixels of a PNG have each colour."""
    at, data, counts = 8, b"", {}
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", png[at + 8:at + 18])
        data += png[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    size = {2: 3, 6: 4}[colour]
    assert depth == 8
    raw, row = zlib.decompress(data), bytearray(width * size)
    for y in range(height):
        start = y * (width * size + 1)
        method, line = raw[start], bytearray(raw[start + 1:start + 1 + width * size])
        for i in range(len(line)):
            left, up, corner = line[i - size] if i >= size else 0, row[i], row[i - size] if i >= size else 0
            if method == 1:
                line[i] = line[i] + left & 255
            elif method == 2:
                line[i] = line[i] + up & 255
            elif method == 3:
                line[i] = line[i] + (left + up) // 2 & 255
            elif method == 4:
                near = min((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))
                line[i] = line[i] + near[2] & 255
        row = line
        for x in range(0, len(line), size):
            pixel = bytes(line[x:x + 3])
            counts[pixel] = counts.get(pixel, 0) + 1
    return counts


def check_file(text, wrong):
    """What must not stand in the file, whatever a browser makes of it."""
    for pattern in r"https?:", r"\bsrc\s*=", r"\bhref\s*=", r"url\(", r"@import", r"<script", r'="[^"<>]*(?:nan|inf)[ .A-Z0-9"]', r"-0\.0\b":
        plain = re.sub(r"<(title|td|th|dd)\b[^>]*>[^<]*", "", text)  # texts of the user's are their own
        wrong += [f"{pattern}: {m.group(0)!r} in {plain[max(0, m.start() - 60):m.end() + 20]!r}" for m in re.finditer(pattern, plain, re.I)]


def check_screen(browser, name, wrong):
    shot = browser.call("Page.captureScreenshot", format="png", clip={"x": 0, "y": 0, "width": 500, "height": 700, "scale": 0.5},
                        captureBeyondViewport=True)
    counts = colours(base64.b64decode(shot["data"]))
    pixels, most = sum(counts.values()), max(counts.values())
    if len(counts) < 16 or not 0.5 < most / pixels < 0.99:
        wrong.append(f"{name}: {len(counts)} colours, {most} of {pixels} pixels have the same")
    return max(counts, key=counts.get)


def main():
    program, path, *texts = sys.argv[1:]
    path = os.path.abspath(path)
    wrong = []
    with open(path, encoding="utf-8") as file:
        check_file(file.read(), wrong)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        browser.open("file://" + path)
        papers = []
        for name, width, scheme in ("a screen", 1100, "light"), ("a narrow screen", 390, "light"), ("the dark", 1100, "dark"):
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            page = browser.look()
            wrong += [f"{name}: {w}" for w in page["wrong"]]
            papers.append(sum(check_screen(browser, name, wrong)))
        if not papers[2] < 200 < papers[0]:
            wrong.append(f"the dark is as light as the day: {papers}")
        pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
        pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
        if not pdf.startswith(b"%PDF-") or pages < 1:
            wrong.append(f"in print: {pages} pages of {len(pdf)} bytes")
        for event in browser.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                wrong.append(f"the console says {params}")
            if method == "Network.requestWillBeSent" and params["request"]["url"] != "file://" + path:
                wrong.append(f"a request for {params['request']['url']}")
        browser.close()
    if page["lang"] != "en" or page["charset"] != "UTF-8" or not page["title"]:
        wrong.append(f"language {page['lang']!r}, charset {page['charset']!r}, title {page['title']!r}")
    wrong += [f"{t!r} is not in the text" for t in texts if t not in page["text"]]
    wrong += [f"{w} is in the text" for w in ("nan", "inf", "-0.0") if re.search(rf"\b{w}\b", page["text"])]
    json.dump({key: page[key] for key in ("plots", "figures", "tables")} | {"pages": pages}, sys.stdout)
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
