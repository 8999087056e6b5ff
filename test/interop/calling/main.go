// Calls of grpc-go, and with "web" of Connect's client for gRPC-Web: `calling PORT CA_FILE AUTHORITY [web]` makes those that it reads.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type asked struct {
	Path      string            `json:"path"`
	Streaming bool              `json:"streaming"`
	Metadata  map[string]string `json:"metadata"`
}

type told struct {
	Code     int                 `json:"code"`
	Details  string              `json:"details"`
	Metadata map[string][]string `json:"metadata"`
	Value    string              `json:"value"`
}

// raw passes messages as the bytes that they are.
type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func callGrpc(conn *grpc.ClientConn, call asked) told {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(call.Metadata))
	var value []byte
	var trailer metadata.MD
	var err error
	message := []byte("a")
	if call.Streaming {
		// The request does not end before the answer is there.
		desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
		stream := must(conn.NewStream(ctx, desc, call.Path))
		_ = stream.SendMsg(&message) // its error is the answer's
		if err = stream.RecvMsg(&value); err != nil {
			trailer = stream.Trailer()
		}
	} else {
		err = conn.Invoke(ctx, call.Path, &message, &value, grpc.Trailer(&trailer))
	}
	how := status.Convert(err)
	return told{int(how.Code()), how.Message(), trailer, string(value)}
}

func callWeb(client *http.Client, authority string, call asked) told {
	web := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
		client, "https://"+authority+call.Path, connect.WithGRPCWeb())
	request := connect.NewRequest(wrapperspb.String("a"))
	for name, value := range call.Metadata {
		request.Header().Set(name, value)
	}
	response, err := web.CallUnary(context.Background(), request)
	var failed *connect.Error
	if errors.As(err, &failed) {
		lower := map[string][]string{}
		for name, values := range failed.Meta() {
			lower[http.CanonicalHeaderKey(name)] = values
		}
		return told{int(failed.Code()), failed.Message(), lower, ""}
	}
	return told{0, "", nil, must(response, err).Msg.GetValue()}
}

func main() {
	address, caFile, authority := "127.0.0.1:"+os.Args[1], os.Args[2], os.Args[3]
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(caFile)))
	trust := &tls.Config{RootCAs: roots, ServerName: authority}
	conn := must(grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(credentials.NewTLS(trust)),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}))))
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: trust, ForceAttemptHTTP2: true}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var call asked
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			panic(err)
		}
		how := told{}
		if len(os.Args) > 4 {
			how = callWeb(client, authority, call)
		} else {
			how = callGrpc(conn, call)
		}
		if err := out.Encode(how); err != nil {
			panic(err)
		}
	}
}
