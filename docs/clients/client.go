// A DPoP client by golang.org/x/oauth2 and go-jose.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Proofs adds a DPoP proof to requests that have a token; it belongs under oauth2.Transport, as its Base. Safe for concurrent use.
type Proofs struct {
	Key    jose.JSONWebKey // the private key to which the token is bound, with Algorithm
	Base   http.RoundTripper
	nonces sync.Map // by host
}

// #region page
func (p *Proofs) RoundTrip(r *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		try := r.Clone(r.Context()) // a RoundTripper must not change its request
		if r.GetBody != nil {
			try.Body, _ = r.GetBody()
		}
		proof, err := p.sign(r)
		if err != nil {
			return nil, err
		}
		try.Header.Set("DPoP", proof)
		response, err := p.Base.RoundTrip(try)
		if err != nil {
			return nil, err
		}
		if nonce := response.Header.Get("DPoP-Nonce"); nonce != "" {
			p.nonces.Store(r.URL.Host, nonce)
		}
		asked := strings.Contains(response.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`)
		resendable := r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
		if response.StatusCode != http.StatusUnauthorized || !asked || !resendable || attempt == 2 {
			return response, nil
		}
		response.Body.Close()
	}
}

// #endregion

func (p *Proofs) sign(r *http.Request) (string, error) {
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt") // the public half alone is embedded
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(p.Key.Algorithm), Key: p.Key.Key}, options)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")))
	claims := map[string]any{
		"jti": rand.Text(), "htm": r.Method, "iat": time.Now().Unix(),
		"htu": r.URL.Scheme + "://" + r.URL.Host + r.URL.EscapedPath(), // percent-encoded, as it is sent
		"ath": base64.RawURLEncoding.EncodeToString(hash[:]),
	}
	if nonce, known := p.nonces.Load(r.URL.Host); known {
		claims["nonce"] = nonce
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}
