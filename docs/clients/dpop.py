"""DPoP for httpx and requests: pip install pyjwt cryptography, and httpx or requests."""

import base64, hashlib, time, uuid
import httpx, jwt, requests


class Proofs:
    """Proofs by one key (of cryptography, P-256) for one token; keeps the nonce of each origin."""

    def __init__(self, token, key):
        self.token, self.key, self.nonces = token, key, {}
        self.jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()

    def sign(self, request):
        """Adds the token and a proof. `request.url` is percent-encoded, as it is sent."""
        htu = str(request.url).split("#")[0].split("?")[0]
        claims = {"jti": str(uuid.uuid4()), "htm": request.method, "htu": htu, "iat": int(time.time()), "ath": self.ath}
        nonce = self.nonces.get("/".join(htu.split("/")[:3]))
        claims |= {"nonce": nonce} if nonce else {}
        headers = {"typ": "dpop+jwt", "jwk": self.jwk}
        request.headers["Authorization"] = f"DPoP {self.token}"
        request.headers["DPoP"] = jwt.encode(claims, self.key, algorithm="ES256", headers=headers)

    def asked(self, response):
        """Keeps the nonce; True: send the request again."""
        if "DPoP-Nonce" in response.headers:
            self.nonces["/".join(str(response.request.url).split("/")[:3])] = response.headers["DPoP-Nonce"]
        return response.status_code == 401 and 'error="use_dpop_nonce"' in response.headers.get("WWW-Authenticate", "")


# #region page
class HttpxDPoP(httpx.Auth):
    """httpx.get(url, auth=HttpxDPoP(Proofs(token, key))), of AsyncClient too."""

    requires_request_body = True  # so that it can be sent twice

    def __init__(self, proofs):
        self.proofs = proofs

    def auth_flow(self, request):
        self.proofs.sign(request)
        if self.proofs.asked((yield request)):
            self.proofs.sign(request)
            self.proofs.asked((yield request))
# #endregion


class RequestsDPoP(requests.adapters.HTTPAdapter):
    """session.mount("https://api.example.com/", RequestsDPoP(Proofs(token, key)))"""

    def __init__(self, proofs):
        super().__init__()
        self.proofs = proofs

    def send(self, request, **how):
        self.proofs.sign(request)
        response = super().send(request, **how)
        if not self.proofs.asked(response):
            return response
        response.content, response.close()  # the connection is free again
        self.proofs.sign(request)
        response = super().send(request, **how)
        self.proofs.asked(response)
        return response


# A program around it: requests URLs by the library named first, by POST if BODY is set, and prints a status for each.
if __name__ == "__main__":
    import os, sys

    proofs = Proofs(os.environ["ACCESS_TOKEN"], jwt.PyJWK.from_json(os.environ["DPOP_KEY"], "ES256").key)
    if sys.argv[1] == "httpx":
        client = httpx.Client(auth=HttpxDPoP(proofs))
    else:
        client = requests.Session()
        client.mount("https://", RequestsDPoP(proofs))
    body = os.environ.get("BODY")
    for url in sys.argv[2:]:
        print(client.request("POST" if body else "GET", url, data=body).status_code)
