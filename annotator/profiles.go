//go:build unix

package main

import (
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"time"

	"ampulla/grpc/socket"
)

// serveProfiles offers Go's profiles at a socket beside that of the annotator,
// for the same user only, and nowhere else: they tell what is in memory.
//
//	curl --unix-socket …/pprof.sock http://localhost/debug/pprof/heap >heap.pb.gz
func serveProfiles(beside string) (end func(), err error) {
	listener, err := socket.Listen(filepath.Join(filepath.Dir(beside), "pprof.sock"), nil)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(listener) }()
	return func() { _ = s.Close() }, nil
}
