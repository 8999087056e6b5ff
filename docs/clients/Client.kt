// A DPoP client by OkHttp and Nimbus JOSE + JWT (com.nimbusds:nimbus-jose-jwt), for Android and elsewhere.

import com.nimbusds.jose.JOSEObjectType
import com.nimbusds.jose.JWSAlgorithm
import com.nimbusds.jose.JWSHeader
import com.nimbusds.jose.crypto.ECDSASigner
import com.nimbusds.jose.jwk.ECKey
import com.nimbusds.jwt.JWTClaimsSet
import com.nimbusds.jwt.SignedJWT
import java.security.MessageDigest
import java.util.Base64
import java.util.Date
import java.util.UUID
import java.util.concurrent.ConcurrentHashMap
import okhttp3.Interceptor
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response

/** addNetworkInterceptor would see each request once; this one, of addInterceptor, may send it twice. */
class DPoP(private val key: ECKey, private val token: String) : Interceptor {
    private val nonces = ConcurrentHashMap<String, String>() // by host and port

    // #region page
    override fun intercept(chain: Interceptor.Chain): Response {
        val first = send(chain)
        // All lines: header() gives the last one alone.
        val asked = first.headers("WWW-Authenticate").any { "error=\"use_dpop_nonce\"" in it }
        if (first.code != 401 || !asked || chain.request().body?.isOneShot() == true) return first
        first.close()
        return send(chain)
    }

    private fun send(chain: Interceptor.Chain): Response {
        val request = chain.request()
        val signed = request.newBuilder().header("Authorization", "DPoP $token").header("DPoP", prove(request)).build()
        return chain.proceed(signed).also { response ->
            response.header("DPoP-Nonce")?.let { nonces["${request.url.host}:${request.url.port}"] = it }
        }
    }
    // #endregion

    private fun prove(request: Request): String {
        // HttpUrl's text is percent-encoded, as it is sent; java.net.URI.getPath() would not be.
        val htu = request.url.newBuilder().query(null).fragment(null).build().toString()
        val hash = MessageDigest.getInstance("SHA-256").digest(token.toByteArray())
        val header = JWSHeader.Builder(JWSAlgorithm.ES256).type(JOSEObjectType("dpop+jwt")).jwk(key.toPublicJWK()).build()
        val claims = JWTClaimsSet.Builder().jwtID(UUID.randomUUID().toString()).issueTime(Date())
            .claim("htm", request.method).claim("htu", htu)
            .claim("ath", Base64.getUrlEncoder().withoutPadding().encodeToString(hash))
            .claim("nonce", nonces["${request.url.host}:${request.url.port}"])
        return SignedJWT(header, claims.build()).apply { sign(ECDSASigner(key)) }.serialize()
    }
}

// A program around it: requests the URLs of its arguments, by POST if BODY is set, and prints a status for each.
fun main(urls: Array<String>) {
    val dpop = DPoP(ECKey.parse(System.getenv("DPOP_KEY")), System.getenv("ACCESS_TOKEN"))
    val client = OkHttpClient.Builder().addInterceptor(dpop).build()
    val body = System.getenv("BODY")?.toRequestBody()
    for (url in urls) {
        val request = Request.Builder().url(url).method(if (body == null) "GET" else "POST", body).build()
        println(client.newCall(request).execute().use { it.code })
    }
}
