package server

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/backlog"
	"ampulla/annotator/dumpcap"
	"ampulla/annotator/packet"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// capture is one capture, under way or over: dumpcap -> backlog -> rewrite, with
// this as its engine -> file.
type capture struct {
	server  *Server
	session *session // nil once it cannot judge any more, and when over
	source  *dumpcap.Capture
	backlog *backlog.Backlog
	limit   int // bytes in the backlog beyond which frames go without a verdict
	file    *os.File
	frames  uint64        // so far
	done    chan struct{} // closed when it is over and the file complete

	mu    sync.Mutex
	state *annotatorv1.Capture
}

// held is how many bytes of a file or a capture are held back to be judged
// together.
func (c *Config) held() int { return min(analysisBytes, c.PacketBuffer/2) }

func newCapture(session *session, source *dumpcap.Capture, file *os.File, options *annotatorv1.CaptureOptions) *capture {
	cfg := &session.server.cfg
	room := cfg.PacketBuffer - cfg.held()
	waiting := backlog.New(room)
	go waiting.Fill(source)
	return &capture{
		server: session.server, session: session, source: source, backlog: waiting, limit: room / 2, file: file, done: make(chan struct{}),
		state: &annotatorv1.Capture{
			State: annotatorv1.Capture_STATE_RUNNING, Options: options, StartedNs: time.Now().UnixNano(),
			FlaggedByType: map[string]uint64{},
		},
	}
}

// run captures until dumpcap ends. That is how a capture is stopped, too: what
// it captured by then still goes through.
func (c *capture) run() {
	threshold, comments := c.session.threshold, selected[c.state.GetOptions().GetComments()]
	server := c.session.server
	_, err := rewrite.Annotate(context.Background(), c.backlog, c, rewrite.Config{
		Engine: c, Comments: comments, Threshold: threshold,
		MaxFrames: min(server.cfg.MaxPackets, rewrite.DefaultMaxFrames), MaxBytes: server.cfg.held(),
		Provenance: c.session.provenance(comments),
	})
	c.backlog.Close() // nobody wants the rest of what could not be written
	_ = c.source.Close()
	if closing := c.file.Close(); err == nil {
		err = closing
	}
	c.mu.Lock()
	c.state.State, c.state.EndedNs = annotatorv1.Capture_STATE_DONE, time.Now().UnixNano()
	if err != nil {
		c.state.State, c.state.Error = annotatorv1.Capture_STATE_FAILED, explained(err)
	}
	c.mu.Unlock()
	c.session = nil // and with it the state of the engine
	close(c.done)
}

// giveUp undoes the start of a capture that never ran.
func (c *capture) giveUp() {
	_ = c.source.Close()
	_ = c.file.Close()
	_ = os.Remove(c.file.Name())
}

// Process judges the next frames, unless more are waiting than can be judged in
// time: to have them without a verdict is better than to lose them.
func (c *capture) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	var trouble error
	judged := c.session != nil && c.backlog.Waiting() <= c.limit
	if judged {
		verdicts, err := c.session.Process(frames, out)
		if err == nil {
			out = verdicts
		} else {
			judged, trouble = false, err
		}
	}
	if trouble != nil && status.Code(trouble) != codes.ResourceExhausted {
		c.session = nil // an engine that failed is of no use
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if trouble != nil {
		c.state.Error = status.Convert(trouble).Message()
	}
	first := len(out)
	if judged {
		first -= len(frames)
	} else {
		c.state.Unjudged += uint64(len(frames))
		c.server.unjudged.Add(uint64(len(frames)))
		for _, f := range frames {
			out = append(out, verdict.Verdict{Time: f.Time})
		}
	}
	for i := range out[first:] {
		v := &out[first+i]
		c.frames++
		v.Frame = c.frames
		if judged && c.session.flagged(v) {
			c.state.Flagged++
			c.state.FlaggedByType[string(v.Type)]++
		}
	}
	c.state.Frames = c.frames
	return out, nil
}

// Write writes to the file.
func (c *capture) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	c.mu.Lock()
	c.state.BytesWritten += uint64(n)
	c.mu.Unlock()
	return n, err
}

// snapshot returns the state as it is now.
func (c *capture) snapshot() *annotatorv1.Capture {
	c.mu.Lock()
	defer c.mu.Unlock()
	return proto.Clone(c.state).(*annotatorv1.Capture)
}

func (c *capture) id() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.GetId()
}

// captures are the captures of a server, the oldest first.
type captures struct {
	mu       sync.Mutex
	list     []*capture
	last     uint64 // number given
	stopping bool
}

// maxOver is how many captures are remembered once they are over.
const maxOver = 100

// add takes a capture in and numbers it, unless the server is stopping.
func (l *captures) add(c *capture) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return false
	}
	l.last++
	c.state.Id = l.last
	l.list = append(l.list, c)
	over := 0
	for _, c := range l.list {
		if c.over() {
			over++
		}
	}
	l.list = slices.DeleteFunc(l.list, func(c *capture) bool {
		forget := over > maxOver && c.over()
		if forget {
			over--
		}
		return forget
	})
	return true
}

func (c *capture) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// all returns the captures.
func (l *captures) all() []*capture {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// stop ends all captures, by force if they do not end within grace, and lets no
// other begin.
func (l *captures) stop(grace time.Duration) {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	deadline, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for _, c := range l.all() {
		c.source.Stop()
	}
	for _, c := range l.all() {
		select {
		case <-c.done:
			continue
		case <-deadline.Done():
		}
		_ = c.source.Close()
		<-c.done
	}
}
