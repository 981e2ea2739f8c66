package jpush

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// table lists the calls.
func (a *API) table() []call {
	return slices.Concat(a.pushCalls(), a.deviceCalls(), a.reportCalls(), a.fileCalls(), a.scheduleCalls(), a.templateCalls(), a.groupCalls(), a.otherCalls())
}

func (a *API) pushCalls() []call {
	return []call{
		on(http.MethodPost, "push", "push", func(x *exchange) (any, error) { return x.push(kind{}) }),
		on(http.MethodPost, "push/file", "pushFile", func(x *exchange) (any, error) { return x.push(kind{file: true}) }),
		reading(http.MethodPost, "push/validate", "validate", (*exchange).validate),
		reading(http.MethodGet, "push/cid", "cids", (*exchange).cids),
		on(http.MethodPost, "push/batch/regid/single", "batchByID", func(x *exchange) (any, error) { return x.batch(singleID) }).large(api.MaxBatchBytes),
		on(http.MethodPost, "push/batch/alias/single", "batchByAlias", func(x *exchange) (any, error) { return x.batch(singleAlias) }).large(api.MaxBatchBytes),
		changing(http.MethodDelete, "push/{id}", "withdrawMessage", (*exchange).withdraw),
	}
}

// sent is the answer to a push: these members, and both text.
type sent struct {
	Sendno string `json:"sendno"`
	ID     string `json:"msg_id"`
}

// push sends a message.
func (x *exchange) push(k kind) (any, error) {
	p, err := x.payload(k)
	if err != nil {
		return nil, err
	}
	key, body := idempotency(p.cid)
	out, err := x.a.service.Messages.Send(x.r.Context(), x.p, p.req, key, body)
	if err != nil {
		return nil, err
	}
	return sent{p.sendno, out.ID.String()}, nil
}

func (x *exchange) payload(k kind) (*payload, error) {
	o, err := readObject(x.body)
	if err != nil {
		return nil, err
	}
	return readPayload(o, k)
}

// idempotency is the key of a cid, and what stands for the body: the same cid
// gets the first answer, whatever it is sent with.
func idempotency(cid string) (key string, body []byte) {
	if cid == "" {
		return "", nil
	}
	key = "jpush/" + cid
	return key, []byte(key)
}

// validate checks a push and sends nothing. The ID in the answer names nothing.
func (x *exchange) validate() (any, error) {
	p, err := x.payload(kind{})
	if err != nil {
		return nil, err
	}
	if _, err := x.a.service.Messages.Check(x.r.Context(), x.p, p.req); err != nil {
		return nil, err
	}
	return sent{p.sendno, "0"}, nil
}

// maxCIDs is how many a call may ask for.
const maxCIDs = 1000

type cidList struct {
	List []string `json:"cidlist"`
}

// cids makes idempotency keys.
func (x *exchange) cids() (any, error) {
	n := 1
	if s := x.query.Get("count"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1 || n > maxCIDs {
			return nil, refuse(codeValue, "count must be a whole number from 1 to %d", maxCIDs)
		}
	}
	if t := x.query.Get("type"); t != "" && t != "push" && t != "schedule" {
		return nil, refuse(codeValue, "type must be push or schedule")
	}
	out := cidList{make([]string, n)}
	for i := range out.List {
		out.List[i] = string(x.p.App) + "-" + uuid()
	}
	return out, nil
}

// uuid makes a random one (RFC 9562, section 5.4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// nothing is the answer where there is nothing to say; a body there must be.
type nothing struct{}

// withdraw withdraws a message.
func (x *exchange) withdraw() (any, error) {
	id, err := herald.ParseMessageID(x.args[0])
	if err != nil {
		return nil, refuse(codeValue, "%.40q is no msg_id", x.args[0])
	}
	_, err = x.a.service.Messages.Withdraw(x.r.Context(), x.p, id)
	if err != nil {
		return nil, err
	}
	return nothing{}, nil
}

// maxBatch is how many pushes a batch may have.
const maxBatch = 1000

func singleID(target string) herald.Audience {
	return herald.Audience{RegistrationIDs: registrationIDs([]string{target})}
}

func singleAlias(target string) herald.Audience {
	return herald.Audience{Aliases: []herald.Alias{herald.Alias(target)}}
}

// outcome is what came of one push of a batch.
type outcome struct {
	ID    string     `json:"msg_id,omitempty"`
	Error *failureOf `json:"error,omitempty"`
}

// batch sends pushes to one device or alias each, in one commit.
func (x *exchange) batch(target func(string) herald.Audience) (any, error) {
	select {
	case x.a.batches <- struct{}{}:
		defer func() { <-x.a.batches }()
	default:
		return nil, &refusal{status: http.StatusTooManyRequests, code: codeRate, message: "too many batches at once"}
	}
	o, err := readObject(x.body)
	if err != nil {
		return nil, err
	}
	list := o.object("pushlist")
	if o.r.err == nil && list == nil {
		return nil, refuse(codeMissing, "pushlist is missing")
	}
	o.done()
	if err := o.r.result(); err != nil {
		return nil, err
	}
	if n := len(list.left); n == 0 || n > maxBatch {
		return nil, refuse(codeValue, "pushlist has %d entries; 1 to %d are taken", n, maxBatch)
	}
	if err := x.takeMore(len(list.left) - 1); err != nil {
		return nil, err
	}
	return x.sendAll(list, target), nil
}

// takeMore counts the messages of a call beyond the first, which was counted with
// the request.
func (x *exchange) takeMore(more int) (err error) {
	b := x.a.cfg.Keys
	if more <= 0 || b == nil {
		return nil
	}
	if more >= b.Burst() {
		return refuse(codeValue, "there are more messages than this caller may ever send at once: %d", b.Burst())
	}
	x.left, err = b.Spend(x.p.RateKey(), more)
	return err
}

// sendAll sends the pushes of a batch in the order of their keys.
func (x *exchange) sendAll(list *object, target func(string) herald.Audience) map[string]outcome {
	out := make(map[string]outcome, len(list.left))
	var items []api.BatchItem
	var cids []string
	fail := func(cid string, err error) {
		told := x.area.refusal(err).body().Error
		out[cid] = outcome{Error: &told}
	}
	for _, cid := range sortedKeys(list.left) {
		p, err := readSingle(cid, list.left[cid], target)
		if err != nil {
			fail(cid, err)
			continue
		}
		key, body := idempotency(cid)
		items, cids = append(items, x.a.service.Messages.Item(p.req, key, body)), append(cids, cid)
	}
	for i, done := range x.a.service.Messages.SendBatch(x.r.Context(), x.p, items) {
		if done.Err != nil {
			fail(cids[i], done.Err)
			continue
		}
		out[cids[i]] = outcome{ID: done.Answer.ID.String()}
	}
	return out
}

func sortedKeys(m map[string]json.RawMessage) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// readSingle reads one push of a batch.
func readSingle(cid string, raw json.RawMessage, target func(string) herald.Audience) (*payload, error) {
	if cid == "" || !validCID(cid) {
		return nil, refuse(codeValue, "%.80q is no cid", cid)
	}
	o := (&reader{}).object("", raw)
	if o == nil {
		return nil, refuse(codeValue, "an entry must be an object")
	}
	to := o.text("target")
	switch {
	case o.r.err != nil:
		return nil, o.r.err
	case to == "":
		return nil, refuse(codeMissing, "target is missing")
	case !validName(to):
		return nil, refuse(codeValue, "target is no registration ID and no alias")
	case o.has("audience"):
		return nil, refuse(codeValue, "audience and target exclude each other")
	}
	o.raw("audience")
	audience := target(to)
	return readPayload(o, kind{single: &audience})
}
