// Verifies an assertion of Holdfast. go get github.com/lestrrat-go/jwx/v2
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// Verify returns the claims, or an error where the request must be refused.
func Verify(ctx context.Context, keys jwk.Set, assertion, method, url string) (jwt.Token, error) {
	message, err := jws.ParseString(assertion)
	if err != nil {
		return nil, err
	}
	if message.Signatures()[0].ProtectedHeaders().Type() != "holdfast-assertion+jwt" {
		return nil, errors.New("not an assertion")
	}
	token, err := jwt.ParseString(assertion,
		jwt.WithKeySet(keys),
		jwt.WithIssuer(os.Getenv("ASSERTION_ISSUER")),
		jwt.WithAudience(os.Getenv("ASSERTION_AUDIENCE")),
		jwt.WithRequiredClaim("exp"),
		jwt.WithRequiredClaim("jti"))
	if err != nil {
		return nil, err
	}
	htm, _ := token.Get("htm")
	htu, _ := token.Get("htu")
	if htm != method || htu != url {
		return nil, errors.New("the assertion is about another request")
	}
	return token, nil
}

func main() {
	ctx := context.Background()
	keys, err := jwk.Fetch(ctx, os.Getenv("ASSERTION_KEYS"))
	if err == nil {
		var token jwt.Token
		if token, err = Verify(ctx, keys, os.Args[1], os.Args[2], os.Args[3]); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(token)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
