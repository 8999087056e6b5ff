// A program around client.go: requests the URLs of its arguments, and prints a status for each.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

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
	client := &http.Client{Transport: &oauth2.Transport{Source: token, Base: proofs}}
	for _, url := range os.Args[1:] {
		response, err := client.Get(url)
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(response.StatusCode)
	}
}
