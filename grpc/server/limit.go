package server

import (
	"context"
	"net"
	"runtime/metrics"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// admit lets a session of that client begin, and returns what ends it.
func (s *Server) admit(client string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retireIfReplaced() {
		return nil, status.Error(codes.Unavailable, "the annotator was updated: connect again")
	}
	if s.open >= s.cfg.MaxSessions {
		s.refused.Add(1)
		return nil, status.Errorf(codes.ResourceExhausted, "%d sessions are open already", s.cfg.MaxSessions)
	}
	if err := s.checkMemory(); err != nil {
		s.refused.Add(1)
		return nil, err
	}
	s.open++
	s.clients[client]++
	s.sessions.Add(1)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.clients[client]--; s.clients[client] == 0 {
			delete(s.clients, client)
		}
		if s.retired && s.open == 0 {
			close(s.vacant)
		}
	}, nil
}

// retireIfReplaced closes the listeners when the program on disk is another
// one, and tells whether it did so now or earlier. When it returns, whoever
// connects again reaches the new program, or nobody. The lock is held.
func (s *Server) retireIfReplaced() bool {
	if s.retired {
		return true
	}
	if s.cfg.Replaced == nil || s.cfg.SocketKept && s.open > 0 || !s.cfg.Replaced() {
		return false
	}
	s.retired = true
	if s.open == 0 {
		close(s.vacant)
	}
	s.stop(errReplaced)
	for _, listener := range s.listeners {
		_ = listener.Close()
	}
	return true
}

// checkMemory returns an error when more memory is in use than allowed: what
// the last garbage collection found alive.
func (s *Server) checkMemory() error {
	if s.cfg.MaxMemory == 0 {
		return nil
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if live := sample[0].Value.Uint64(); live > s.cfg.MaxMemory {
		return status.Errorf(codes.ResourceExhausted, "%d MB of memory are in use, more than %d", live>>20, s.cfg.MaxMemory>>20)
	}
	return nil
}

// checkLocal refuses callers that are not at the unix socket. There, the kernel
// vouches that the caller is the server's user or root: who may name files and
// devices has the right to open them anyway.
func checkLocal(ctx context.Context, what string) error {
	if p, ok := peer.FromContext(ctx); ok && p.Addr.Network() == "unix" {
		return nil
	}
	return status.Error(codes.PermissionDenied, what+" is for callers at the unix socket only")
}

// guarded is a listener that accepts a limited number of connections at once:
// whatever arrives beyond is closed.
type guarded struct {
	net.Listener
	open chan struct{} // holds one for each connection
}

// connectionsPerSession is how many connections there may be for each session
// that is allowed; they also serve other calls, and each may hold some buffers.
const connectionsPerSession = 4

func (s *Server) guard(listener net.Listener) net.Listener {
	return &guarded{listener, make(chan struct{}, s.cfg.MaxSessions*connectionsPerSession)}
}

// Accept waits for the next connection within the limit.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case g.open <- struct{}{}:
			return &counted{conn, sync.OnceFunc(func() { <-g.open })}, nil
		default:
			_ = conn.Close()
		}
	}
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close ends the connection.
func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}
