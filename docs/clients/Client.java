// A DPoP client by the OAuth 2.0 SDK of Nimbus (com.nimbusds:oauth2-oidc-sdk).

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.oauth2.sdk.dpop.DPoPProofFactory;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.http.HTTPResponse;
import com.nimbusds.oauth2.sdk.token.DPoPAccessToken;
import com.nimbusds.oauth2.sdk.util.URIUtils;
import com.nimbusds.openid.connect.sdk.Nonce;
import java.net.URI;

class Client {
    private final DPoPProofFactory proofs;
    private final DPoPAccessToken token;
    private Nonce nonce; // of this one API

    Client(ECKey key, String token) throws Exception {
        this.proofs = new DefaultDPoPProofFactory(key, JWSAlgorithm.ES256);
        this.token = new DPoPAccessToken(token);
    }

    // #region page
    HTTPResponse send(HTTPRequest request) throws Exception {
        for (int attempt = 1; ; attempt++) {
            request.setAuthorization(token.toAuthorizationHeader());
            URI htu = URIUtils.getBaseURI(request.getURI()); // without query, and percent-encoded as it is sent
            request.setDPoP(proofs.createDPoPJWT(request.getMethod().name(), htu, token, nonce));
            HTTPResponse response = request.send();
            if (response.getDPoPNonce() != null) nonce = response.getDPoPNonce();
            String challenge = response.getWWWAuthenticate();
            boolean asked = challenge != null && challenge.contains("error=\"use_dpop_nonce\"");
            if (response.getStatusCode() != 401 || !asked || attempt == 2) return response;
        }
    }
    // #endregion

    /** A program around it: requests the URLs of its arguments, by POST if BODY is set, and prints a status for each. */
    public static void main(String[] urls) throws Exception {
        Client client = new Client(ECKey.parse(System.getenv("DPOP_KEY")), System.getenv("ACCESS_TOKEN"));
        for (String url : urls) {
            String body = System.getenv("BODY");
            HTTPRequest request = new HTTPRequest(body == null ? HTTPRequest.Method.GET : HTTPRequest.Method.POST, URI.create(url));
            if (body != null) request.setBody(body);
            System.out.println(client.send(request).getStatusCode());
        }
    }
}
