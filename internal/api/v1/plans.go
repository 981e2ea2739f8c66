package v1

import (
	"context"
	"net/http"
	"strings"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

// addPlans adds what an app does to messages that are released over time.
func (a *API) addPlans() {
	example := strings.Replace(exampleMessage, `"counts"`, `"spread":{"over":3600},"release":{"devices":3,"released":2,"steps":2},"counts"`, 1)
	paused := strings.Replace(example, `"counts"`, `"paused":true,"counts"`, 1)
	stopped := strings.Replace(example, `"steps":2`, `"steps":2,"stopped":true`, 1)
	for _, v := range []struct {
		change                            record.PlanChange
		id, summary, description, example string
	}{
		{record.PlanPause, "pauseMessage", "Pause the release of a message",
			"Nobody more is released a message that goes out over time (`spread`, `send_at_local`, quiet hours) until it is resumed. Who was released it is sent it, and its TTL goes on.", paused},
		{record.PlanResume, "resumeMessage", "Resume the release of a message", "The release goes on where it was paused, in its pace: what was missed is not made up for.", example},
		{record.PlanStop, "stopMessage", "Stop the release of a message",
			"Who was not released the message never gets it, and counts as withdrawn. Who was released it keeps it, or is sent it when it connects; `DELETE` takes it back from them too.", stopped},
	} {
		register(a, operation{
			id: v.id, method: "POST", path: "/v1/messages/{id}:" + string(v.change), tag: "Messages", summary: v.summary, write: true,
			description: v.description + " To do it again changes nothing; when nothing is left to release, it answers 409. Needs the scope `messages:send`.",
			answer:      v.example, errors: []int{http.StatusNotFound, http.StatusConflict},
		}, func(ctx context.Context, x *exchange, in *messageInput) (*reply[api.MessageView], error) {
			id, err := messageID(in.ID)
			if err != nil {
				return nil, err
			}
			return answer(a.service.Messages.ChangeRelease(ctx, x.p, id, v.change))
		})
	}
}
