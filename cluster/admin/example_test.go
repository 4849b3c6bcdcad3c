package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/fireflyrt/firefly/cluster/admin"
)

// Any node serves its health and its metrics; a Console makes it the admin node.
func Example() {
	s, err := admin.Listen(admin.Options{
		Addr:  "127.0.0.1:0",
		Ready: func() error { return nil },
		Report: func() admin.Report {
			return admin.Report{Node: "game-1", State: admin.StateReady, Process: admin.Measure()}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Start()
	answer, err := http.Get("http://" + s.Addr() + "/readyz")
	if err == nil {
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Printf("%d %s", answer.StatusCode, text)
	}
	http.DefaultClient.CloseIdleConnections()
	fmt.Println(s.Stop(context.Background()))
	// Output:
	// 200 ready
	// <nil>
}
