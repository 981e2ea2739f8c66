package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// messages removes the dead devices, in random order, and then writes the live
// messages.
func (s *seeder) messages(ctx context.Context) error {
	order := s.dead.Ordinals()
	r := s.Population.stream(ofRemoval, 0)
	for i := len(order) - 1; i > 0; i-- {
		j := r.below(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	err := s.steps(ctx, "removals", len(order), rowsInStep, func(from, to int) error { return s.bulk.Remove(ctx, order[from:to]) })
	if err != nil || s.Messages+s.Sparse == 0 {
		return err
	}
	return s.steps(ctx, "messages", s.Messages+s.Sparse, 1, func(i, _ int) error { return s.message(ctx, i) })
}

// dense draws an audience: whoever has one of two frequent tags and not a third
// one.
func (s *seeder) dense(r *random) (*sets.Set, herald.Audience) {
	n := len(s.common)
	tags := [3]int{r.below(min(n, 10)), r.below(min(n, 20)), r.below(min(n, 40))}
	image := sets.Union(s.common[tags[0]], s.common[tags[1]])
	audience := herald.Audience{Tags: []herald.Tag{TagName(tags[0]), TagName(tags[1])}}
	if tags[2] != tags[0] && tags[2] != tags[1] {
		image.AndNot(s.common[tags[2]])
		audience.TagsNot = []herald.Tag{TagName(tags[2])}
	}
	return image, audience
}

// sparse draws an audience: whoever has two tags that are both rare.
func (s *seeder) sparse(r *random) (*sets.Set, herald.Audience) {
	n := len(s.common)
	one, two := n/20+r.below(max(n/4, 1)), n/3+r.below(max(n/3, 1))
	one, two = min(one, n-1), min(two, n-1)
	return sets.Intersect(s.common[one], s.common[two]), herald.Audience{TagsAnd: []herald.Tag{TagName(one), TagName(two)}}
}

// message writes one message. Half of its devices have received it, and a quarter of the others
// were sent it.
func (s *seeder) message(ctx context.Context, i int) error {
	r := s.Population.stream(ofMessage, uint64(i))
	draw := s.dense
	if i >= s.Messages {
		draw = s.sparse
	}
	image, audience := draw(&r)
	image.Optimize()
	head, err := s.bulk.Head(ctx)
	if err != nil {
		return err
	}
	content := herald.Content{Notification: &herald.Notification{Title: fmt.Sprintf("Message %d", i), Body: "Something happened that interests you."}}
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	at := s.Population.Now.Add(-30*time.Minute + time.Duration(i)*100*time.Millisecond)
	living := sets.Minus(image, s.dead)
	m := record.Message{
		Message: herald.Message{
			ID: s.ids.Next(at), App: s.out.AppKey, Content: content, Audience: audience, Priority: herald.PriorityNormal,
			TTL: herald.MaxTTL, Accepted: at, Due: at,
		},
		Body: body, State: herald.MessageSending, EvalPos: head.Pos, Target: living.Len(),
	}
	if m.Target <= herald.MaxDirect {
		// A small population: such a message is direct, and has no states.
		m.Direct = living.Ordinals()
		return s.bulk.Message(ctx, &m, nil)
	}
	m.Group = record.WholeImage(image)
	return s.bulk.Message(ctx, &m, s.states(m.ID, i, living))
}

// states gives the chunks of what devices have reported.
func (s *seeder) states(id herald.MessageID, i int, living *sets.Set) (out []record.Chunk) {
	r := s.Population.stream(ofReceipt, uint64(i))
	var half, quarter [sets.SlabWords]uint64
	for slab, part := range living.Slabs() {
		for w := range half {
			a, b := r.next(), r.next()
			half[w] = r.next()
			quarter[w] = half[w] | a&b
		}
		received := sets.Intersect(part, sets.FromWords(slab, &half))
		sent := sets.Intersect(part, sets.FromWords(slab, &quarter))
		out = append(out,
			record.Chunk{Msg: id, State: herald.StateSent, Index: uint64(slab), Bits: sent},
			record.Chunk{Msg: id, State: herald.StateReceived, Index: uint64(slab), Bits: received})
	}
	return out
}
