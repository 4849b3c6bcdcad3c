package actors

// A resident is the process of a Receiver: an actor of the runtime's own.
type resident struct {
	*process
	receiver Receiver
}

func newResident(p *process) *resident {
	r := &resident{process: p}
	r.receiver = p.kind.Receiver(r)
	return r
}

func (r *resident) start() {}

func (r *resident) receive(item any) {
	if e, ok := item.(*Envelope); ok {
		r.receiver.Receive(e)
	}
}

func (r *resident) leave() {
	r.box.hold(true)
	r.receiver.Stop(func() { r.post(r.finish) })
}

func (r *resident) lost() { r.receiver.Lost() }

func (r *resident) Self() Ref        { return r.ref }
func (r *resident) Tenure() Tenure   { return r.tenure }
func (r *resident) Post(f func())    { r.post(f) }
func (r *resident) Send(e *Envelope) { r.sys.Route(e) }
