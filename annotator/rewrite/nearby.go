package rewrite

// nearby chooses the frames around flagged ones: it holds the last frames back
// until one of the next is flagged, or they are too far from it.
type nearby struct {
	size int      // frames to keep before and behind a flagged one
	held [][]byte // the last frames, the oldest at next once it is full
	next int
	left int // frames still to be kept behind the last flagged one
}

// add takes the next frame. It calls write with each frame, maybe earlier
// ones, that is to be kept, in order.
func (n *nearby) add(raw []byte, flagged bool, write func([]byte) error) error {
	switch {
	case flagged:
		n.left = n.size
		for i := range n.held {
			if err := write(n.held[(n.next+i)%len(n.held)]); err != nil {
				return err
			}
		}
		n.forget()
	case n.left > 0:
		n.left--
	default:
		n.hold(raw)
		return nil
	}
	return write(raw)
}

// hold keeps a copy of a frame in place of the oldest.
func (n *nearby) hold(raw []byte) {
	switch {
	case n.size == 0:
	case len(n.held) < n.size:
		n.held = append(n.held, append([]byte(nil), raw...))
	default:
		n.held[n.next] = append(n.held[n.next][:0], raw...)
		n.next = (n.next + 1) % n.size
	}
}

// forget drops the frames held back, as at the end of a section.
func (n *nearby) forget() { n.held, n.next = n.held[:0], 0 }
