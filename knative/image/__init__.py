"""The serving image: locked requirements and the script that builds its file system."""
