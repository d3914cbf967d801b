package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Access says who may ask.
type Access struct {
	// Token is what callers show as "Authorization: Bearer <token>".
	Token string
	// Hosts are the names, without ports, by which this server is called, beside
	// addresses and localhost.
	Hosts []string
	// Origins are the web pages, as in "https://grafana.example", that may ask,
	// beside those of this server.
	Origins []string
}

// Guard lets only those requests through that may be answered. The order is
// that of what a stranger may learn.
//
//   - Host is an address, localhost or a configured name: a web page that has
//     its own name point here (DNS rebinding) comes with that name.
//   - Origin, if there is one, is this server or configured.
//   - The token is right, compared in constant time.
func Guard(a Access, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(a.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if !a.knows(r.Host) {
			writeError(w, http.StatusForbidden, status.New(codes.PermissionDenied, "Host: this server is not called that; see listeners.http.hosts"))
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			if !a.trusts(origin, r) {
				writeError(w, http.StatusForbidden, status.New(codes.PermissionDenied, "Origin: pages of others may not ask; see listeners.http.origins"))
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Add("Vary", "Origin")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
				w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-ID")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		have := sha256.Sum256([]byte(given))
		if !ok || a.Token == "" || subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
			writeError(w, http.StatusUnauthorized, status.New(codes.Unauthenticated, "no valid token in the Authorization header"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows tells whether a Host header is a name of this server.
func (a *Access) knows(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || slices.ContainsFunc(a.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// trusts tells whether a page of that origin may ask.
func (a *Access) trusts(origin string, r *http.Request) bool {
	if slices.ContainsFunc(a.Origins, func(o string) bool { return strings.EqualFold(strings.TrimSuffix(o, "/"), origin) }) {
		return true
	}
	u, err := url.Parse(origin)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}
