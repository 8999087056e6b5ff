"""Verifies an assertion of Holdfast. pip install pyjwt[crypto]"""

import json
import os
import sys

import jwt

KEYS = jwt.PyJWKClient(os.environ["ASSERTION_KEYS"])


def verify(assertion: str, method: str, url: str) -> dict:
    """Returns the claims; raises where the request must be refused."""
    if jwt.get_unverified_header(assertion).get("typ") != "holdfast-assertion+jwt":
        raise ValueError("not an assertion")
    claims = jwt.decode(
        assertion,
        KEYS.get_signing_key_from_jwt(assertion).key,
        algorithms=["ES256", "ES384", "ES512", "EdDSA", "RS256"],
        issuer=os.environ["ASSERTION_ISSUER"],
        audience=os.environ["ASSERTION_AUDIENCE"],
        options={"require": ["exp", "jti"]},
    )
    if claims.get("htm") != method or claims.get("htu") != url:
        raise ValueError("the assertion is about another request")
    return claims


if __name__ == "__main__":
    print(json.dumps(verify(*sys.argv[1:4])))
