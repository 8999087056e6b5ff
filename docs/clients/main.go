// A program around client.go: requests the URLs of its arguments, by POST if BODY is set, and prints a status for each.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

func main() {
	key := jose.JSONWebKey{}
	if err := key.UnmarshalJSON([]byte(os.Getenv("DPOP_KEY"))); err != nil {
		log.Fatal(err)
	}
	token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: os.Getenv("ACCESS_TOKEN"), TokenType: "DPoP"})
	proofs := &Proofs{Key: key, Base: http.DefaultTransport}
	client := &http.Client{
		Transport: &oauth2.Transport{Source: token, Base: proofs},
		// oauth2.Transport would send the token to whichever host a redirect names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	body := os.Getenv("BODY")
	for _, url := range os.Args[1:] {
		method := http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
		request, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(response.StatusCode)
	}
}
