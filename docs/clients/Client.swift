// A DPoP client by CryptoKit and URLSession.

import CryptoKit
import Foundation

actor DPoPClient {
    private let key: P256.Signing.PrivateKey // or SecureEnclave.P256.Signing.PrivateKey, which never leaves the device
    private let token: String
    private var nonces: [String: String] = [:] // by host and port

    init(key: P256.Signing.PrivateKey, token: String) {
        self.key = key
        self.token = token
    }

    // #region page
    func send(_ request: URLRequest) async throws -> (Data, HTTPURLResponse) {
        let first = try await sendOnce(request)
        let asked = first.1.value(forHTTPHeaderField: "WWW-Authenticate")?.contains("error=\"use_dpop_nonce\"") ?? false
        return first.1.statusCode == 401 && asked ? try await sendOnce(request) : first
    }

    private func sendOnce(_ original: URLRequest) async throws -> (Data, HTTPURLResponse) {
        var request = original
        guard let url = request.url, var htu = URLComponents(url: url, resolvingAgainstBaseURL: true) else { throw URLError(.badURL) }
        htu.query = nil // percentEncodedPath stays as it is sent; url.path would be decoded
        htu.fragment = nil
        let origin = "\(htu.host ?? ""):\(htu.port ?? 443)"
        let proof = try prove(method: request.httpMethod ?? "GET", htu: htu.string ?? "", nonce: nonces[origin])
        request.setValue("DPoP \(token)", forHTTPHeaderField: "Authorization")
        request.setValue(proof, forHTTPHeaderField: "DPoP")
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let answer = response as? HTTPURLResponse else { throw URLError(.badServerResponse) }
        if let nonce = answer.value(forHTTPHeaderField: "DPoP-Nonce") { nonces[origin] = nonce }
        return (data, answer)
    }
    // #endregion

    private func prove(method: String, htu: String, nonce: String?) throws -> String {
        let point = key.publicKey.rawRepresentation // x and y, 32 bytes each
        let jwk = ["kty": "EC", "crv": "P-256", "x": base64url(point.prefix(32)), "y": base64url(point.suffix(32))]
        var claims: [String: Any] = [
            "jti": UUID().uuidString, "htm": method, "htu": htu, "iat": Int(Date().timeIntervalSince1970),
            "ath": base64url(Data(SHA256.hash(data: Data(token.utf8)))),
        ]
        claims["nonce"] = nonce
        let parts: [[String: Any]] = [["typ": "dpop+jwt", "alg": "ES256", "jwk": jwk], claims]
        let input = try parts.map { base64url(try JSONSerialization.data(withJSONObject: $0)) }.joined(separator: ".")
        return "\(input).\(base64url(try key.signature(for: Data(input.utf8)).rawRepresentation))" // r and s, as JWS has them
    }
}

private func base64url(_ data: Data) -> String {
    data.base64EncodedString().replacingOccurrences(of: "+", with: "-")
        .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
}
