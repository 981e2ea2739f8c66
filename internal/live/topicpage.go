package live

import (
	"cmp"
	"container/heap"
)

// topicPage keeps the first topics by name of those that it is offered.
type topicPage struct {
	most int
	list topicHeap
}

func (p *topicPage) offer(c TopicCount) {
	switch {
	case len(p.list) < p.most:
		heap.Push(&p.list, c)
	case p.most > 0 && c.Topic < p.list[0].Topic:
		p.list[0] = c
		heap.Fix(&p.list, 0)
	}
}

// topicHeap is a heap whose root is the last by name.
type topicHeap []TopicCount

// Len, Less, Swap, Push and Pop are for container/heap.
func (h topicHeap) Len() int           { return len(h) }
func (h topicHeap) Less(i, j int) bool { return h[i].Topic > h[j].Topic }
func (h topicHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *topicHeap) Push(x any)        { *h = append(*h, x.(TopicCount)) }
func (h *topicHeap) Pop() any          { panic("live: nothing is taken from a page of topics") }

func byTopic(x, y TopicCount) int { return cmp.Compare(x.Topic, y.Topic) }
