#!/bin/sh
# Builds Traefik from its Go module: sh build-traefik.sh VERSION FILE
#
# Three things differ from a release, none of which is on the way of a request: no providers for DNS challenges of ACME, because
# module proxies do not have all of theirs; go-http-auth as it is published instead of a fork, for basic and digest authentication,
# which no test uses; and the empty package of extensions that the module leaves out.
set -eu
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
go mod download "github.com/traefik/traefik/v3@$1"
cache=$(go env GOMODCACHE)
cp -r "$cache/github.com/traefik/traefik/v3@$1" src
lego=$(sed -n 's|^\s*github.com/go-acme/lego/v5 \(v[0-9.]*\).*|\1|p' src/go.mod)
go mod download "github.com/go-acme/lego/v5@$lego"
cp -r "$cache/github.com/go-acme/lego/v5@$lego" lego
chmod -R u+w src lego
cat > lego/providers/dns/zz_gen_dns_providers.go <<'GO'
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("unrecognized DNS provider: %s", name)
}
GO
mkdir -p src/pkg/config/dynamic/ext src/webui/static
touch src/webui/static/index.html
cd src
cat > pkg/config/dynamic/ext/go.mod <<'GO'
module github.com/traefik/traefik/dynamic/ext

go 1.23
GO
cat > pkg/config/dynamic/ext/ext.go <<'GO'
package ext

type HTTP struct{}

func (in *HTTP) DeepCopyInto(out *HTTP) { *out = *in }

type Router struct{}

func (in *Router) DeepCopyInto(out *Router) { *out = *in }
GO
auth=pkg/middlewares/auth
sed -i 's/goauth\.CheckSecret,/equal,/; s/RequireAuthStale(/RequireAuth(/' $auth/basic_auth.go $auth/digest_auth.go
printf '\nfunc equal(one, other string) bool { return one == other }\n' >> $auth/basic_auth.go
go mod edit -replace github.com/go-acme/lego/v5=../lego
go mod edit -dropreplace github.com/abbot/go-http-auth -require github.com/abbot/go-http-auth@v0.4.0
GOFLAGS=-mod=mod go build -trimpath -ldflags '-s -w' -o "$2" ./cmd/traefik
