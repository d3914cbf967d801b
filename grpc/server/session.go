package server

import (
	"errors"
	"io"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Limits of one session's messages, as the contract states them.
const (
	maxBatch  = 4096    // frames
	maxClient = 100     // bytes of the client's name
	maxData   = 262_144 // bytes of a frame
)

// Session judges one capture.
func (s *Server) Session(stream grpc.BidiStreamingServer[annotatorv1.SessionRequest, annotatorv1.SessionResponse]) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.refused.Add(1)
		return status.Errorf(codes.ResourceExhausted, "%d sessions are open already", s.cfg.MaxSessions)
	}
	session, err := s.open(stream)
	if err != nil {
		return err
	}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		response, err := session.judge(request)
		if err != nil {
			return err
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// session is the state of one call of Session.
type session struct {
	server     *Server
	engine     *engine.Engine
	terseBelow float64
	count      uint64 // frames so far
	frames     []packet.Frame
	verdicts   []verdict.Verdict
}

// open takes the options in and greets the client.
func (s *Server) open(stream grpc.BidiStreamingServer[annotatorv1.SessionRequest, annotatorv1.SessionResponse]) (*session, error) {
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	options := first.GetOptions()
	switch {
	case options == nil:
		return nil, status.Error(codes.InvalidArgument, "the first message must carry the options")
	case len(options.GetClient()) > maxClient:
		return nil, status.Errorf(codes.InvalidArgument, "client: %d bytes, more than %d", len(options.GetClient()), maxClient)
	case !(options.GetTerseBelow() >= 0 && options.GetTerseBelow() <= 1):
		return nil, status.Errorf(codes.InvalidArgument, "terse_below: %v is not between 0 and 1", options.GetTerseBelow())
	}
	e, err := engine.New(s.cfg.Engine, s.cfg.Scorer)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	s.sessions.Add(1)
	started := &annotatorv1.SessionStarted{Version: s.cfg.Version, Model: s.cfg.Scorer.Manifest().Version}
	err = stream.Send(&annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Started{Started: started}})
	return &session{server: s, engine: e, terseBelow: options.GetTerseBelow()}, err
}

// judge answers one batch of frames.
func (s *session) judge(request *annotatorv1.SessionRequest) (*annotatorv1.SessionResponse, error) {
	batch := request.GetFrames()
	n := len(batch.GetFrames())
	if n < 1 || n > maxBatch {
		return nil, status.Errorf(codes.InvalidArgument, "a batch of %d frames is not between 1 and %d", n, maxBatch)
	}
	s.frames = s.frames[:0]
	for i, f := range batch.GetFrames() {
		if f.GetLinkType() > math.MaxUint16 || len(f.GetData()) > maxData {
			return nil, status.Errorf(codes.InvalidArgument, "frame %d: link type %d, %d bytes of data",
				s.count+uint64(i)+1, f.GetLinkType(), len(f.GetData()))
		}
		s.frames = append(s.frames, packet.Frame{
			Time: f.GetTimeNs(), LinkType: uint16(f.GetLinkType()), Length: f.GetLength(),
			Data: f.GetData()[:min(len(f.GetData()), packet.SnapLen)],
		})
	}
	begin := time.Now()
	var err error
	if s.verdicts, err = s.engine.Process(s.frames, s.verdicts[:0]); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	s.server.busy.Add(uint64(time.Since(begin)))
	s.server.frames.Add(uint64(n))
	s.count += uint64(n)
	return &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Verdicts{Verdicts: s.answer()}}, nil
}

// answer puts the verdicts into a message.
func (s *session) answer() *annotatorv1.VerdictBatch {
	store := make([]annotatorv1.Verdict, len(s.verdicts))
	batch := &annotatorv1.VerdictBatch{Verdicts: make([]*annotatorv1.Verdict, len(s.verdicts))}
	var flagged uint64
	for i := range s.verdicts {
		v, m := &s.verdicts[i], &store[i]
		m.Frame, m.Class, m.Level, m.Type, m.Flow = v.Frame, v.Class, levels[v.Level], string(v.Type), v.Flow
		m.ConfidencePercent = uint32(math.Round(v.Confidence * 100))
		m.ScorePermille = uint32(math.Round(v.Score * 1000))
		if v.Score > s.terseBelow || s.terseBelow == 0 {
			m.Reason, m.CommunityId = v.Reason, v.CommunityID
		}
		if v.Score > verdict.AnomalousScore {
			flagged++
		}
		batch.Verdicts[i] = m
	}
	s.server.flagged.Add(flagged)
	return batch
}

var levels = map[verdict.Level]annotatorv1.Level{
	verdict.Normal:     annotatorv1.Level_LEVEL_NORMAL,
	verdict.Suspicious: annotatorv1.Level_LEVEL_SUSPICIOUS,
	verdict.Anomalous:  annotatorv1.Level_LEVEL_ANOMALOUS,
	verdict.Learning:   annotatorv1.Level_LEVEL_LEARNING,
}
