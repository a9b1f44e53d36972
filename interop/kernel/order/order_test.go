package order

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
)

func TestMessagesArriveAsTheyWereSent(t *testing.T) {
	var pipe bytes.Buffer
	want := []Order{
		{ID: 1, Kind: Run, Argv: []string{"wg", "show"}, Env: []string{"A=b"}, Data: []byte{0, 255, '\n'}, UID: 7},
		{ID: 2, Kind: Write, Path: "/x", Mode: 0o600, Data: make([]byte, 1<<20)},
	}
	for _, o := range want {
		if err := Send(&pipe, o); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range want {
		var got Order
		if err := Receive(&pipe, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, o) {
			t.Errorf("received %+v, want %+v", got, o)
		}
	}
	if err := Receive(&pipe, &Order{}); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

// Whatever arrives is a message or an error; neither panics, and what is cut off
// is never taken for whole.
func FuzzReceive(f *testing.F) {
	var whole bytes.Buffer
	if err := Send(&whole, Answer{ID: 3, Stdout: []byte("x"), Status: 1}); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:whole.Len()-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Answer
		r := bytes.NewReader(b)
		if err := Receive(r, &a); err != nil {
			return
		}
		var again bytes.Buffer
		if err := Send(&again, a); err != nil {
			t.Fatalf("an answer that was received cannot be sent: %v", err)
		}
		var back Answer
		if err := Receive(&again, &back); err != nil || back.ID != a.ID || !bytes.Equal(back.Stdout, a.Stdout) {
			t.Errorf("sent again it is %+v (%v), want %+v", back, err, a)
		}
	})
}
