package actors

// A resident is the process of a Receiver: an actor of the runtime's own.
type resident struct {
	*process
	receiver Receiver // nil until the process has started
	leaving  bool
	calm     bool // it is to rest, and does
}

func (r *resident) start() {
	r.receiver = r.kind.Receiver(r)
	r.rehold() // one that has moved here was held
}

func (r *resident) receive(item any) {
	if e, ok := item.(*Envelope); ok {
		r.receiver.Receive(e)
	}
}

func (r *resident) rehold() { r.box.hold(r.leaving || r.paused || r.freezing.Load() != nil) }

func (r *resident) leave() {
	if r.leaving {
		return
	}
	r.leaving = true
	r.rehold()
	r.receiver.Stop(func() { r.post(r.finish) })
}

func (r *resident) end(*Refusal) {
	r.lost()
	r.finish()
}

func (r *resident) lost() {
	if r.receiver != nil {
		r.receiver.Lost()
	}
}

func (r *resident) Self() Ref        { return r.ref }
func (r *resident) Tenure() Tenure   { return r.tenure }
func (r *resident) Post(f func())    { r.post(f) }
func (r *resident) Send(e *Envelope) { r.sys.Route(e) }
