"""A person with a browser that knows plain HTTP only: follows redirects, keeps cookies, fills in forms by element id.

    person.py AUTHORIZATION_URL REDIRECT_URI

prints the URL at which the browser would come back to the client. Name and password: OPALID_USER, OPALID_PASSWORD.
"""

import os
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests


class Form:
    def __init__(self, attributes):
        self.action = attributes.get("action") or ""
        self.method = (attributes.get("method") or "get").lower()
        self.fields = {}  # name to value, as the page set them
        self.buttons = {}  # id to (name, value)


class Page(HTMLParser):
    """The forms of a page, and its title for complaints."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.title, self._form, self._in_title = [], "", None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "title":
            self._in_title = True
        elif tag == "form":
            self._form = Form(attributes)
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "button" or (tag == "input" and attributes.get("type") == "submit"):
            self._form.buttons[attributes.get("id")] = (attributes.get("name"), attributes.get("value") or "")
        elif tag == "input" and attributes.get("name"):
            chosen = attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes
            if chosen:
                self._form.fields[attributes["name"]] = attributes.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        elif tag == "title":
            self._in_title = False

    def handle_data(self, data):
        if self._in_title:
            self.title += data

    def form_with(self, button):
        return next((form for form in self.forms if button in form.buttons), None)


def press(browser, page_url, form, button, entered):
    name, value = form.buttons[button]
    unknown = entered.keys() - form.fields.keys()
    if unknown:
        raise SystemExit(f"{page_url}: the form with #{button} has no {', '.join(sorted(unknown))}")
    data = {**form.fields, **entered, **({name: value} if name else {})}
    parts = urlsplit(page_url)
    headers = {"Origin": f"{parts.scheme}://{parts.netloc}", "Referer": page_url}
    target = urljoin(page_url, form.action)
    if form.method != "post":
        raise SystemExit(f"{page_url}: the form with #{button} is not sent by POST")
    return browser.post(target, data=data, headers=headers, allow_redirects=False, timeout=30)


def walk(authorization_url, redirect_uri, login, password):
    """From the authorization URL through the pages to the redirect back; that URL."""
    browser = requests.Session()
    answer = browser.get(authorization_url, allow_redirects=False, timeout=30)
    pressed = []
    for _ in range(20):
        if answer.is_redirect:
            target = urljoin(answer.url, answer.headers["Location"])
            if target.split("?")[0] == redirect_uri:
                return target, pressed
            answer = browser.get(target, allow_redirects=False, timeout=30)
            continue
        page = Page(answer.text)
        for button, entered in (("sign-in", {"login": login, "password": password}), ("allow", {})):
            form = page.form_with(button)
            if form and button not in pressed:
                pressed.append(button)
                answer = press(browser, answer.url, form, button, entered)
                break
        else:
            raise SystemExit(f"{answer.url}: {answer.status_code}, no way on from the page {page.title.strip()!r}")
    raise SystemExit(f"{answer.url}: too many redirects")


if __name__ == "__main__":
    print(walk(sys.argv[1], sys.argv[2], os.environ["OPALID_USER"], os.environ["OPALID_PASSWORD"])[0])
