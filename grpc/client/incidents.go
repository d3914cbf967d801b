package client

import (
	"errors"
	"time"

	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// ErrOld means that the annotator is too old for what it is asked.
var ErrOld = errors.New("annotator is an older one, which does not know this")

// incidentContract is the contract from which on annotators know incidents.
const incidentContract = 2

// inquiry is the question for the incidents so far. At most one is under way;
// whoever asks meanwhile waits for the next.
type inquiry struct {
	wanted, sent, answered uint64 // questions so far
	behind                 uint64 // frames that go before the latest one wanted
	incidents              []verdict.Incident
	leftOut                uint64
}

// Incidents asks for the incidents of the frames that were queued so far, and how
// many there were beside these, and waits for the answer, for at most d.
func (s *Session) Incidents(d time.Duration) (incidents []verdict.Incident, leftOut uint64, err error) {
	if s.started.GetContract() < incidentContract {
		return nil, 0, ErrOld
	}
	s.mu.Lock()
	q := &s.inquiry
	q.wanted++
	q.behind = s.queued
	s.hurry = true
	mine := q.wanted
	s.mu.Unlock()
	s.wake()
	if err := s.until(d, func() bool { return q.answered >= mine }); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.incidents, q.leftOut, nil
}

// inquire sends the questions that are due. It returns false when the stream is
// over.
func (s *Session) inquire(calls stream) bool {
	for {
		s.mu.Lock()
		q := &s.inquiry
		due := q.sent < q.wanted && s.sent >= q.behind
		if due {
			q.sent++
		}
		s.mu.Unlock()
		if !due {
			return true
		}
		ask := &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Incidents{Incidents: &annotatorv1.IncidentsRequest{}}}
		if calls.Send(ask) != nil {
			return false // the cause comes with Recv
		}
	}
}

// storeIncidents takes in an answer.
func (s *Session) storeIncidents(list *annotatorv1.IncidentList) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.announce()
	q := &s.inquiry
	if q.answered >= q.sent {
		return errors.New("incidents that nobody asked for")
	}
	q.answered++
	q.incidents, q.leftOut = incidentsOf(list), list.GetLeftOut()
	return nil
}

// incidentsOf reads incidents from a message.
func incidentsOf(list *annotatorv1.IncidentList) []verdict.Incident {
	incidents := make([]verdict.Incident, 0, len(list.GetIncidents()))
	for _, m := range list.GetIncidents() {
		incidents = append(incidents, verdict.Incident{
			Number: m.GetNumber(), Type: verdict.Type(m.GetType()), Score: float64(m.GetScorePermille()) / 1000, Reason: m.GetReason(),
			Actors: append([]string{}, m.GetActors()...), ActorCount: int(m.GetActorCount()),
			Targets: append([]string{}, m.GetTargets()...), TargetCount: int(m.GetTargetCount()),
			Services: append([]string{}, m.GetServices()...), ServiceCount: int(m.GetServiceCount()),
			First:   verdict.Moment{Frame: m.GetFirstFrame(), Time: time.Unix(0, m.GetFirstNs()).UTC()},
			Last:    verdict.Moment{Frame: m.GetLastFrame(), Time: time.Unix(0, m.GetLastNs()).UTC()},
			Packets: m.GetFrames(), Anomalous: m.GetAnomalous(), Flows: m.GetFlows(), Filter: m.GetFilter(),
		})
	}
	return incidents
}
