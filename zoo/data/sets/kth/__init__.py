"""KTH: 25 people, six actions, four scenarios, in the published layout with its list of sequences."""
