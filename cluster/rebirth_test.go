package cluster

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

func (l *listener) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forgotten
}

// wiped restarts an embedded etcd without anything that it held.
func wiped(t *testing.T, e EtcdOptions, server *Etcd) {
	t.Helper()
	server.Close()
	if err := os.RemoveAll(e.Dir); err != nil {
		t.Fatal(err)
	}
	again, err := StartEtcd(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
}

func TestAWipedRegistryIsNoticedBeforeAnybodyJoinsItAgain(t *testing.T) {
	t.Parallel()
	o, e, server := etcdHere(t)
	one, heard := joined(t, o, "one")
	until(t, "one coordinates", func() bool { return heard.get().Coordinator == one.member.Incarnation })
	wiped(t, e, server)
	until(t, "it is noticed", func() bool { return heard.lost() > 0 })
	if n := heard.lost(); n != 1 {
		t.Errorf("it was told %d times", n)
	}
	_, other := joined(t, o, "two")
	if r := other.get(); len(r.Members) != 1 || r.Members[0].Name != "two" {
		t.Errorf("the new registry holds %+v", r.Members)
	}
	next := &Assignment{Generation: 1, Owners: make([]Owner, 4)}
	if err := assign(one, Decree{Role: "game", Next: next}); err == nil {
		t.Error("a node of before the wipe wrote an assignment")
	}
}

func TestAnotherGenerationIsNoticedAndTheRegistrationTakenBack(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	cases := map[string]string{"other": `{"generation":8,"owners":[],"epochs":[]}`, "none": ""}
	for what, now := range cases {
		o.Cluster = what
		y, heard := joined(t, o, "one")
		next := &Assignment{Generation: 7, Owners: make([]Owner, 4)}
		if err := assign(y, Decree{Role: "game", Next: next}); err != nil {
			t.Fatal(err)
		}
		until(t, "it is seen", func() bool { return heard.get().Roles["game"] != nil })
		operator, err := o.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer operator.Close()
		if now == "" {
			_, err = operator.Delete(t.Context(), y.prefix+keyOwners+"game")
		} else {
			_, err = operator.Put(t.Context(), y.prefix+keyOwners+"game", now)
		}
		if err != nil {
			t.Fatal(err)
		}
		until(t, what+": it is noticed", func() bool { return heard.lost() == 1 })
		until(t, what+": it is no member any more", func() bool {
			got, err := operator.Get(t.Context(), y.memberKey(y.member.Incarnation))
			return err == nil && len(got.Kvs) == 0
		})
	}
}

func TestWhatAWriterOfALostRegistrationWantsIsAConflict(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	one, heard := joined(t, o, "one")
	if _, err := one.client.Delete(t.Context(), one.memberKey(one.member.Incarnation)); err != nil {
		t.Fatal(err)
	}
	next := &Assignment{Generation: 1, Owners: make([]Owner, 4)}
	if err := assign(one, Decree{Role: "game", Next: next}); !errors.Is(err, ErrConflict) {
		t.Errorf("writing: %v", err)
	}
	if r := heard.get(); r.Roles["game"] != nil {
		t.Errorf("the record holds %+v", r.Roles)
	}
}

func TestAMemberWhoseRecordIsGoneWhileItsLeaseLivesRegistersAgain(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	one, heard := joined(t, o, "one")
	since := sinceOf(heard, one.member.Incarnation)
	if _, err := one.client.Delete(t.Context(), one.memberKey(one.member.Incarnation)); err != nil {
		t.Fatal(err)
	}
	until(t, "it sees that it is none", func() bool { return len(heard.get().Members) == 0 })
	began := time.Now()
	for len(heard.get().Members) == 0 && time.Since(began) < 5*o.Lease {
		pause(t.Context(), 10*time.Millisecond)
	}
	if got := sinceOf(heard, one.member.Incarnation); got != since {
		t.Errorf("it was a member since %d; after %v it is one since %d", since, time.Since(began), got)
	}
}

func TestNobodyRegistersAgainWhoLeft(t *testing.T) {
	t.Parallel()
	o, _, _ := etcdHere(t)
	one, _ := joined(t, o, "one")
	_, heard := joined(t, o, "two")
	until(t, "both are there", func() bool { return len(heard.get().Members) == 2 })
	left := make(chan error, 1)
	one.Leave(nil, func(err error) { left <- err })
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	until(t, "the other knows", func() bool { return len(heard.get().Members) == 1 })
	if _, err := one.client.Revoke(t.Context(), one.lease); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.Lease)
	defer cancel()
	for ctx.Err() == nil { // two looks of its keeper at the lease
		if n := len(heard.get().Members); n > 1 {
			t.Fatalf("%d members after it left", n)
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func TestAWipedMemoryIsNoticedToo(t *testing.T) {
	w := newTown(t, 1)
	n, heard := w.registry.Node(), new(listener)
	if err := n.Join(t.Context(), Member{Name: "one", Incarnation: 1}, heard); err != nil {
		t.Fatal(err)
	}
	w.settle()
	for range 5 {
		w.registry.Certify(42) // revisions go by
	}
	w.registry.Wipe()
	w.advance(DefaultLease)
	if len(heard.get().Members) != 1 || heard.lost() != 1 {
		t.Errorf("it was told %d times; the last record is %+v", heard.lost(), heard.get())
	}
}
