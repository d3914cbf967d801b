package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc/status"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/verdict"
	"ampulla/extcap/bridge"
	"ampulla/extcap/sink"
	"ampulla/extcap/source"
	"ampulla/extcap/toolbar"
	"ampulla/grpc/client"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// maxBlock is the longest block that Wireshark takes from a capture program, in
// bytes.
const maxBlock = 262_144

const (
	// readiness bounds how long a capture may take to begin.
	readiness = 10 * time.Second
	// readerTimeout bounds how long an error waits until Wireshark can show it.
	readerTimeout = 5 * time.Second
	// drain is how long dumpcap may take to end when it is told to, and
	// Wireshark to accept what is left.
	drain = 3 * time.Second
	// refresh is how often the toolbar shows new figures, and how soon we notice
	// that Wireshark is gone while there are no frames.
	refresh = time.Second
)

// capture captures until Wireshark wants it to end. All that can go wrong is
// tried before the fifo is opened, since errors are shown best then.
func capture(ctx context.Context, flags arguments) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a reader that is gone is an error of the write
	bar := toolbar.Open(flags["extcap-control-in"], flags["extcap-control-out"])
	defer func() {
		if ctx.Err() != nil {
			err = nil // who was told to end has nothing to complain about
		}
		if err != nil {
			awaitWireshark(ctx, bar, flags["fifo"])
		}
	}()
	s, err := readSettings(flags)
	if err != nil {
		return usageError(err.Error())
	}
	if netif := flags["extcap-interface"]; netif != interfaceName {
		return usageError(fmt.Sprintf("no interface %q; there is %q", netif, interfaceName))
	}
	if flags["fifo"] == "" {
		return usageError("--capture needs --fifo")
	}
	src, err := open(ctx, s)
	if err != nil {
		return err
	}
	defer src.Close()
	b, err := connect(ctx, s, src, bar)
	if err != nil {
		return err
	}
	bar.Attach(b)
	fifo, err := sink.Open(ctx, flags["fifo"])
	if err != nil {
		return err
	}
	// It is closed by the end of the process: Wireshark shows an error only if it
	// comes before the end of the fifo.
	return carry(ctx, src, b.Bridge, fifo, bar)
}

// awaitWireshark waits until Wireshark has opened the pipes and reads the fifo,
// for a while. It learns of a capture program that ends only after it has begun
// to read, and otherwise waits for ever.
func awaitWireshark(ctx context.Context, bar *toolbar.Toolbar, fifo string) {
	ctx, cancel := context.WithTimeout(ctx, readerTimeout)
	defer cancel()
	select {
	case <-bar.Opened():
	case <-ctx.Done():
	}
	if file, err := sink.Open(ctx, fifo); err == nil {
		_ = file.Close()
	}
}

// open starts the source.
func open(ctx context.Context, s settings) (source.Source, error) {
	if s.replay != "" {
		return source.OpenReplay(s.replay, s.speed, maxBlock)
	}
	ctx, cancel := context.WithTimeout(ctx, readiness)
	defer cancel()
	return source.Live(ctx, s.capture)
}

// connect finds the annotator and begins a session.
func connect(ctx context.Context, s settings, src source.Source, bar *toolbar.Toolbar) (*attached, error) {
	ctx, cancel := context.WithTimeout(ctx, readiness)
	defer cancel()
	conn, err := client.Dial(ctx, client.Config{Address: s.annotator, StartTimeout: readiness})
	if err != nil {
		return nil, s.noAnnotator(err)
	}
	options := bridge.SessionOptions("ampulla-extcap " + version)
	options.Baseline, options.AlarmsPerHour = s.baseline, s.alarms
	options.Rules = annotatorv1.Rules_RULES_FOLLOW
	if s.noFeedback {
		options.Rules = annotatorv1.Rules_RULES_NONE
	}
	session, err := client.Open(ctx, conn, options)
	if err != nil {
		return nil, s.noAnnotator(err)
	}
	info, err := client.Info(ctx, conn)
	if err != nil {
		return nil, s.noAnnotator(err)
	}
	bar.Log(fmt.Sprintf("annotator %s with models %s", info.GetVersion(), info.GetModel()))
	if s.alarms > 0 {
		s.threshold = session.Started().GetThreshold()
		bar.Log(fmt.Sprintf("the threshold is %v, for %v alarms an hour", s.threshold, s.alarms))
	}
	cfg := bridge.Config{
		Conn: conn, Session: session, Options: options,
		Comments: s.comments, Threshold: s.threshold, OnlyFlagged: s.onlyFlagged, Context: s.context,
		Provenance: verdict.Provenance{
			Version: version, Model: info.GetModel(), Classifier: info.GetClassifierSha256(), Anomaly: info.GetAnomalySha256(),
			Threshold: s.threshold, Comments: string(s.comments), Baseline: session.Started().GetBaselineSha256(),
			Rules: int(session.Started().GetRules()),
		},
		MaxBlock: maxBlock,
		Log:      bar.Log,
	}
	if replay, ok := src.(*source.Replay); ok {
		cfg.TooLong = replay.Omitted
	}
	return &attached{Bridge: bridge.New(cfg), conn: conn, noFeedback: s.noFeedback}, nil
}

// noAnnotator says that there is no annotator, and how to find out why if it is
// the user's own, unless it has said so itself.
func (s settings) noAnnotator(err error) error {
	h := ""
	if _, said := status.FromError(err); s.annotator == "" && !said {
		h = "ampulla serve --idle 10s, in a terminal, shows why the annotator does not start"
	}
	return hintError{fmt.Errorf("cannot score: %w", err), h}
}

// carry runs the bridge until the source ends, Wireshark lets go of the fifo, or
// somebody wants the capture to end.
func carry(ctx context.Context, src source.Source, b *bridge.Bridge, fifo *sink.Fifo, bar *toolbar.Toolbar) error {
	done := make(chan error, 1)
	go func() { done <- b.Run(context.Background(), src, fifo) }()
	figures := time.NewTicker(refresh)
	defer figures.Stop()
	parent := os.Getppid()
	for {
		select {
		case err := <-done:
			return ending(err)
		case <-figures.C:
			bar.Refresh()
			if os.Getppid() == parent && !fifo.Unread() {
				continue
			}
		case <-ctx.Done():
		case <-bar.Gone():
		}
		src.Stop()
		_ = fifo.SetWriteDeadline(time.Now().Add(drain))
		defer time.AfterFunc(drain, func() { _ = src.Close() }).Stop()
		return ending(<-done)
	}
}

// ending sorts out why the bridge came to its end: that Wireshark is gone is no
// error, nor that the end took too long.
func ending(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	if e, ok := errors.AsType[*dumpcap.Error](err); ok {
		return e // without the block at which it happened
	}
	if errors.Is(err, sink.ErrFull) {
		return hintError{err, "make room there, or save elsewhere; what was captured before is saved"}
	}
	return err
}

// hint returns what the user can do about an error, if we know.
func hint(err error) string {
	if h, ok := errors.AsType[hintError](err); ok {
		return h.hint
	}
	if e, ok := errors.AsType[*dumpcap.Error](err); ok {
		return e.Hint
	}
	return ""
}
