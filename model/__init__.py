"""Labels, sentences, scores, the network, model folders, the inference engine and the shipped model."""
