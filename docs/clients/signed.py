"""Message signatures (RFC 9421) for requests, on top of dpop.py: pip install http-message-signatures."""

import base64, hashlib, json, os, sys
import jwt, requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

sys.path.insert(0, os.path.dirname(__file__))
from dpop import Proofs, RequestsDPoP


class SignedProofs(Proofs):
    """session.mount("https://api.example.com/", RequestsDPoP(SignedProofs(token, key)))"""

    def __init__(self, token, key):
        super().__init__(token, key)
        members = {name: self.jwk[name] for name in ("crv", "kty", "x", "y")}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        self.keyid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()  # the library wants one: RFC 7638
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        keys = type("Keys", (HTTPSignatureKeyResolver,), {"resolve_private_key": lambda self, key_id: pem})
        self.signer = HTTPMessageSigner(signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=keys())

    def sign(self, request):
        """Adds the token, a proof, the digest of the body, and a signature over all of it."""
        super().sign(request)
        for name in ("Signature", "Signature-Input", "Content-Digest"):
            request.headers.pop(name, None)  # of the attempt before
        covered = ["@method", "@target-uri", "authorization", "dpop"]
        covered += [name.lower() for name in ("Content-Type", "Content-Encoding") if name in request.headers]
        body = request.body.encode() if isinstance(request.body, str) else request.body
        # Of a body the library makes and covers Content-Digest.
        self.signer.sign(request, key_id=self.keyid, covered_component_ids=covered, body=body)


# A program around it: requests URLs, by POST if BODY is set, and prints a status for each.
if __name__ == "__main__":
    key = jwt.PyJWK.from_json(os.environ["DPOP_KEY"], "ES256").key
    client = requests.Session()
    client.mount("https://", RequestsDPoP(SignedProofs(os.environ["ACCESS_TOKEN"], key)))
    body = os.environ.get("BODY")
    for url in sys.argv[1:]:
        print(client.request("POST" if body else "GET", url, data=body).status_code)
