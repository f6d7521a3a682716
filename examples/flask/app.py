"""A small application with password sign-in, to which two-factor sign-in is added: all of it stands between the two marks.

Without it, `sign_in` would end with `return signed_in(name)`.
"""

import os

from flask import Flask, abort, redirect, render_template_string, request, session
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or os.urandom(32)
app.config.update(SESSION_COOKIE_SAMESITE="Lax")

# What a database would hold.
USERS = {"alice": {"password": generate_password_hash("correct horse battery"), "phone": "+14155550123"}}
NOBODY = {"password": generate_password_hash(os.urandom(16).hex())}


@app.get("/")
def home():
    return page("home", user=session["user"]) if "user" in session else redirect("/sign-in")


@app.route("/sign-in", methods=["GET", "POST"])
def sign_in():
    if request.method == "GET":
        return page("sign-in")
    name = request.form.get("name", "")
    user = USERS.get(name, NOBODY)
    if not check_password_hash(user["password"], request.form.get("password", "")) or user is NOBODY:
        return page("sign-in", error="The name or the password is wrong."), 403
    return second_factor(name, user["phone"])


def signed_in(name):
    session.clear()
    session["user"] = name
    return redirect("/")


@app.post("/sign-out")
def sign_out():
    session.clear()
    return redirect("/sign-in")


# ---------------------------------------------------------------- two-factor sign-in: from here

from datetime import datetime, timezone

import requests

RINGFENCE, KEY = os.environ["RINGFENCE_URL"], (os.environ["RINGFENCE_KEY"], os.environ["RINGFENCE_SECRET"])
app.register_error_handler(requests.RequestException, lambda _: (page("sign-in", error="Try again in a moment."), 503))


def ask(path, **body):
    answer = requests.post(f"{RINGFENCE}/v1/sign-ins{path}", json=body, auth=KEY, timeout=10)
    return answer.json() if answer.status_code < 500 and answer.status_code != 401 else abort(503)


def second_factor(name, phone):  # a form that is sent twice goes on with the first one's sign-in, while that is good
    if session.get("waits", {}).get("user") != name or session["waits"]["until"] < datetime.now(timezone.utc).isoformat():
        browser = {"address": request.remote_addr, "user_agent": request.user_agent.string[:200]}
        new = ask("", user=name, phone=phone, device_token=request.cookies.get(f"device-{name}"), **browser)
        if new["needed"] == "none":
            return remember(name, signed_in(name), new)
        session.clear()
        factors = [it["kind"] for it in new["factors"] if it["kind"] != "passkey"]  # which takes a page with a script
        session["waits"] = {"user": name, "id": new["id"], "until": new["expires_at"] if factors else "", "factors": factors}
    return send() if "phone" in session["waits"]["factors"] else redirect("/code")


@app.post("/code/send")
def send():
    waits = session.get("waits") or abort(403)
    return redirect("/code") if "to" in (sent := ask(f"/{waits['id']}/code", user=waits["user"])) else refused(waits, sent)


def refused(waits, answer):
    again = page("code", factors=waits["factors"], error=answer["title"] + "."), answer["status"]
    return redirect("/code/over") if answer["code"] in ("sign-in-over", "no-sign-in", "too-many-failures") else again


@app.get("/code/over")
def over():  # of a form that was sent twice the first answer may have signed in, whose cookie comes along here
    return (page("sign-in", error="The sign-in is over. Sign in again."), 409) if session.pop("waits", None) else redirect("/")


@app.route("/code", methods=["GET", "POST"])
def code():
    waits = session.get("waits") or abort(403)
    if request.method == "GET":
        return page("code", factors=waits["factors"]), 200 if waits["factors"] else 403
    entered = {"factor": request.form["factor"], "code": request.form["code"], "trust": "trust" in request.form}
    passed = ask(f"/{waits['id']}/check", user=waits["user"], **entered)
    return remember(waits["user"], signed_in(waits["user"]), passed) if "assurance" in passed else refused(waits, passed)


def remember(name, response, answer):
    if token := answer["device_token"]:
        response.set_cookie(f"device-{name}", token["token"], max_age=30 * 86400, httponly=True, secure=request.is_secure, samesite="Lax")
    return response


# ---------------------------------------------------------------- two-factor sign-in: to here

PAGES = {
    "home": """<p>Welcome, {{ user }}.</p><form method=post action=/sign-out><button>Sign out</button></form>""",
    "sign-in": """<form method=post action=/sign-in onsubmit="if (this.sent) return false; this.sent = setTimeout(() => { this.sent = 0 }, 5000)">
        <p><label>Name<br><input name=name autocomplete=username required></label>
        <p><label>Password<br><input name=password type=password autocomplete=current-password required></label>
        <p><button>Sign in</button></form>""",
    "code": """{% if not factors %}<p class=error role=alert>A second factor is demanded that you do not have here. Call us.</p>
        <p><a href=/sign-in>Sign in again</a>{% else %}<form method=post action=/code onsubmit="if (this.sent) return false; this.sent = setTimeout(() => { this.sent = 0 }, 5000)">
        <p><label>Code from your<br><select name=factor>{% for factor in factors %}<option>{{ factor }}</option>{% endfor %}
        </select></label>
        <p><label>Code<br><input name=code autocomplete=one-time-code inputmode=numeric maxlength=32 required></label>
        <p><label><input type=checkbox name=trust> Trust this computer for 30 days</label>
        <p><button>Go on</button></form>
        {% if "phone" in factors %}<form method=post action=/code/send><p><button>Send the code again</button></form>{% endif %}{% endif %}""",
}
FRAME = """<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>Owl Bank</title><style>body { font: 18px system-ui; max-width: 24em; margin: 2em auto; padding: 0 1em }
input:not([type=checkbox]), select, button { font: inherit; padding: .4em } .error { color: #b00020 }</style>
<h1>Owl Bank</h1>{% if error %}<p class=error role=alert>{{ error }}</p>{% endif %}"""


def page(name, **values):
    return render_template_string(FRAME + PAGES[name], **values)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
