// Binding: requirement × scheme × confirmation → what this sender must show.

export type Requirement = 'public' | 'token' | 'sender-constrained' | 'dpop' | 'mtls';
