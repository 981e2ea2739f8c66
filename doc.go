// Package herald is the vocabulary of the Herald push platform: the nouns that
// every other package speaks in, with their formats and limits. It does no
// I/O and imports the standard library only.
//
// A message is a few sets of devices. An app server names an [Audience]; when
// the message is accepted (or falls due) the audience is evaluated once, and
// the set it gives is the target. For each device of the target the message is
// a delivery, whose state moves forward only: see [DeliveryState].
//
// Values of this package are plain data. They may be copied and, unless a
// method says otherwise, must not be changed once they are shared.
package herald
