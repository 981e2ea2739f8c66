package client

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/herald-push/herald"
)

func TestApproval(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(body))
		if r.Method == http.MethodPatch {
			fmt.Fprint(w, `{"approval":{"required":true,"above":7}}`)
			return
		}
		fmt.Fprint(w, `{"id":"5","state":"rejected","approval":{"above":7,"estimate":9,"sent_by":{"kind":"key","id":"k"},"decided_by":{"kind":"master"},"reason":"no"}}`)
	})
	ctx := t.Context()
	app, err := c.UpdateApp(ctx, AppUpdate{Approval: &ApprovalRule{Required: true, Above: 7}})
	if err != nil || app.Approval != (ApprovalRule{true, 7}) {
		t.Errorf("%+v, %v", app, err)
	}
	for _, call := range []func() (MessageView, error){
		func() (MessageView, error) { return c.Approve(ctx, 5) },
		func() (MessageView, error) { return c.Reject(ctx, 5, "no") },
	} {
		if v, err := call(); err != nil || v.State != herald.MessageRejected || v.Approval.Reason != "no" || v.Approval.SentBy.ID != "k" {
			t.Errorf("%+v, %v", v, err)
		}
	}
	want := []string{`PATCH /v1/app {"approval":{"required":true,"above":7}}`, "POST /v1/messages/5:approve ", `POST /v1/messages/5:reject {"reason":"no"}`}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}
