"""What is answered over HTTP: metrics, health, and the REST form of the Open Inference Protocol."""
