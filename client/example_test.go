package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// Send a message to one user, and see how it fares.
func Example() {
	c, err := client.New("http://127.0.0.1:7700", client.MasterSecret("app key", "master secret"), client.Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	sent, err := c.Send(ctx, client.Message{
		Audience:     herald.Audience{Aliases: []herald.Alias{"ann"}},
		Notification: &herald.Notification{Title: "Order 7", Body: "It has left the house"},
		TTL:          client.TTL(2 * time.Hour),
	})
	if err != nil {
		panic(err)
	}
	m, err := c.Message(ctx, sent.ID)
	if err != nil {
		panic(err)
	}
	fmt.Println(m.State, m.Counts.Received, "of", m.Counts.Target)
}

// What the server refuses is a *herald.Error with a remedy.
func ExampleClient_Send_errors() {
	c, err := client.New("http://127.0.0.1:7700", client.Key("hk1.…"), client.Options{Tries: 1})
	if err != nil {
		panic(err)
	}
	_, err = c.Send(context.Background(), client.Message{Audience: herald.Audience{All: true}})
	var refused *herald.Error
	switch {
	case errors.As(err, &refused):
		fmt.Println(refused.Code, refused.Message, refused.Remedy)
	case errors.Is(err, client.ErrUnreachable):
		fmt.Println("is the server running?")
	}
}

// Publish to a topic, and send a message that must arrive to the same people.
func ExampleClient_Publish() {
	c, err := client.New("http://127.0.0.1:7700", client.MasterSecret("app key", "master secret"), client.Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	p, err := c.Publish(ctx, "chat/7", []byte(`{"text": "Hello"}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Devices, "devices were subscribed")
	_, err = c.Send(ctx, client.Message{
		Audience:     herald.Audience{Topic: "chat/7"},
		Notification: &herald.Notification{Title: "The meeting begins"},
	})
	if err != nil {
		panic(err)
	}
}
