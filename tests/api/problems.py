"""What must hold of every answer of a JSON API that says no."""

import json

import schemathesis


@schemathesis.check
def a_refusal_is_a_problem_document(ctx, response, case):
    """Also where the document does not say what is there: a path or method that it does not have."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    problem = json.loads(response.content)
    if response.headers["content-type"] != ["application/problem+json"] or problem["status"] != response.status_code:
        raise AssertionError(f"{response.headers['content-type']}: {problem}")
    if not problem["type"].endswith("#" + problem["code"]):
        raise AssertionError(f"{problem['type']} explains {problem['code']}")
